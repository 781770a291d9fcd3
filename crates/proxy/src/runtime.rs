//! Background tasks: every one is known, so that shutdown can wait for it or end it.

use std::future::Future;

use tokio_util::task::TaskTracker;

/// Where tasks are started; clones share one tracker.
#[derive(Debug, Clone, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    /// Starts a task.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.0.spawn(task));
    }

    /// Resolves when all tasks have ended.
    pub async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

/// [`Tasks`] as hyper's executor.
#[derive(Debug, Clone)]
pub struct Executor(pub Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.0.spawn(async move {
            drop(future.await);
        });
    }
}
