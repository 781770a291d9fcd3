//! An answer as a schedule: which bytes when, and how it ends. Faults are changes to it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::calendar;
use crate::fault::{After, Then};
use crate::model::Style;
use crate::settings::{Chunk, Pace};
use crate::sse::Frame;

/// Some bytes and the virtual milliseconds to wait before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) wait_ms: u64,
    pub(crate) bytes: Bytes,
    terminal: bool,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As it should.
    Clean,
    /// Cleanly, but the answer is not complete.
    Early,
    /// The body is never finished: HTTP/1.1 closes, h2 resets the stream.
    Cut,
    /// The connection is reset.
    Reset,
    /// Nothing more happens.
    Stall,
}

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) beats: VecDeque<Beat>,
    pub(crate) ending: Ending,
    /// `content-length`, for bodies that have one.
    pub(crate) length: Option<u64>,
}

impl Schedule {
    /// A body that is there at once.
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        let bytes: Bytes = body.into();
        let length = Some(bytes.len() as u64);
        let beat = Beat { wait_ms: 0, bytes, terminal: true };
        Self { beats: VecDeque::from([beat]), ending: Ending::Clean, length }
    }

    /// A stream: the first event after `first_ms`, the others `gap_ms` apart.
    pub(crate) fn stream(frames: &[Frame], style: &Style, pace: &Pace, now: i64) -> Self {
        let mut beats = VecDeque::with_capacity(frames.len() + 1);
        for (index, frame) in frames.iter().enumerate() {
            let wait_ms = if index == 0 { pace.first_ms } else { pace.gap_ms };
            let pings = wait_ms.saturating_sub(1).checked_div(style.ping_idle_ms).unwrap_or(0);
            for _ in 0..pings {
                beats.push_back(Beat { wait_ms: style.ping_idle_ms, ..ping(style, now) });
            }
            if style.ping_every > 0 && index % style.ping_every == 0 {
                beats.push_back(ping(style, now));
            }
            beats.push_back(Beat {
                wait_ms: wait_ms - pings * style.ping_idle_ms,
                bytes: Bytes::from(frame.write(style)),
                terminal: frame.terminal,
            });
        }
        Self { beats, ending: Ending::Clean, length: None }
    }

    /// Up to a point, and then. `error` is the format's error event.
    pub(crate) fn break_off(
        mut self,
        after: After,
        then: Then,
        error: &Frame,
        style: &Style,
    ) -> Self {
        match after {
            After::Events(count) => self.beats.truncate(count),
            After::Terminal => {
                let at = self.beats.iter().position(|beat| beat.terminal);
                self.beats.truncate(at.unwrap_or(self.beats.len()));
            }
            After::Bytes(mut left) => {
                self.beats.retain_mut(|beat| {
                    let keep = left.min(beat.bytes.len());
                    left -= keep;
                    beat.bytes.truncate(keep);
                    keep > 0
                });
            }
        }
        self.ending = match then {
            Then::Cut => Ending::Cut,
            Then::Reset => Ending::Reset,
            Then::End => Ending::Early,
            Then::Stall => Ending::Stall,
            Then::Error => {
                let bytes = Bytes::from(error.write(style));
                self.beats.push_back(Beat { wait_ms: 0, bytes, terminal: true });
                self.length = None;
                Ending::Early
            }
        };
        self
    }

    /// The same bytes in pieces of `bytes`, `gap_ms` apart.
    pub(crate) fn drip(mut self, bytes: usize, gap_ms: u64) -> Self {
        self = self.in_bytes(bytes);
        for beat in &mut self.beats {
            beat.wait_ms = beat.wait_ms.max(gap_ms);
        }
        self
    }

    /// The same bytes in other chunks.
    pub(crate) fn chunked(self, chunk: Chunk) -> Self {
        match chunk {
            Chunk::Event => self,
            Chunk::Events(count) => self.in_events(count),
            Chunk::Bytes(count) => self.in_bytes(count),
        }
    }

    fn in_events(mut self, count: usize) -> Self {
        let beats: Vec<Beat> = self.beats.into();
        self.beats = beats
            .chunks(count.max(1))
            .map(|group| {
                let mut bytes = BytesMut::new();
                for beat in group {
                    bytes.extend_from_slice(&beat.bytes);
                }
                let wait_ms = group.iter().map(|beat| beat.wait_ms).max().unwrap_or(0);
                let terminal = group.iter().any(|beat| beat.terminal);
                Beat { wait_ms, bytes: bytes.freeze(), terminal }
            })
            .collect();
        self
    }

    fn in_bytes(mut self, count: usize) -> Self {
        let mut beats = VecDeque::new();
        for mut beat in std::mem::take(&mut self.beats) {
            while beat.bytes.len() > count.max(1) {
                let bytes = beat.bytes.split_to(count.max(1));
                beats.push_back(Beat { wait_ms: beat.wait_ms, bytes, terminal: false });
                beat.wait_ms = 0;
            }
            beats.push_back(beat);
        }
        self.beats = beats;
        self
    }
}

/// A keep-alive comment as captured from Go (upstream.md §6.1).
fn ping(style: &Style, now: i64) -> Beat {
    let at = calendar::iso(now).replace('T', " ").replace('Z', "000+00:00");
    let bytes = Bytes::from(Frame::comment(format!("ping - {at}")).write(style));
    Beat { wait_ms: 0, bytes, terminal: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(pace: &Pace, style: &Style) -> Schedule {
        let frames = [
            Frame::data("1".to_owned()),
            Frame::data("2".to_owned()),
            Frame::data("3".to_owned()).terminal(),
        ];
        Schedule::stream(&frames, style, pace, 0)
    }

    fn text(schedule: &Schedule) -> String {
        schedule.beats.iter().map(|beat| String::from_utf8_lossy(&beat.bytes)).collect()
    }

    #[test]
    fn chunks_change_no_byte() {
        let pace = Pace { gap_ms: 5, ..Pace::default() };
        let plain = stream(&pace, &Style::default());
        let waits = |s: &Schedule| s.beats.iter().map(|beat| beat.wait_ms).collect::<Vec<_>>();
        assert_eq!(waits(&plain), [0, 5, 5]);
        let bytes = plain.clone().chunked(Chunk::Bytes(3));
        assert_eq!(text(&bytes), text(&plain));
        assert_eq!(waits(&bytes), [0, 0, 0, 5, 0, 0, 5, 0, 0]);
        let events = plain.clone().chunked(Chunk::Events(2));
        assert_eq!((text(&events), events.beats.len()), (text(&plain), 2));
        let drip = plain.clone().drip(8, 50);
        assert_eq!((text(&drip), waits(&drip)), (text(&plain), vec![50; 6]));
    }

    #[test]
    fn breaks_off_where_told() {
        let style = Style::default();
        let error = Frame::data("E".to_owned());
        let broken =
            |after, then| stream(&Pace::default(), &style).break_off(after, then, &error, &style);
        assert_eq!(text(&broken(After::Events(1), Then::Cut)), "data: 1\n\n");
        assert_eq!(text(&broken(After::Bytes(11), Then::Reset)), "data: 1\n\nda");
        assert_eq!(text(&broken(After::Terminal, Then::End)), "data: 1\n\ndata: 2\n\n");
        let failed = broken(After::Events(1), Then::Error);
        assert_eq!(
            (text(&failed).as_str(), failed.ending),
            ("data: 1\n\ndata: E\n\n", Ending::Early)
        );
    }

    #[test]
    fn pings() {
        let pace = Pace { first_ms: 25, ..Pace::default() };
        let style = Style { ping_idle_ms: 10, ..Style::default() };
        let idle = stream(&pace, &style);
        assert!(text(&idle).starts_with(": ping - 1970-01-01 00:00:00.000000+00:00\n\n: ping"));
        assert_eq!(
            idle.beats.iter().map(|beat| beat.wait_ms).collect::<Vec<_>>(),
            [10, 10, 5, 0, 0]
        );
        let style = Style { ping_every: 2, ..Style::default() };
        assert_eq!(text(&stream(&Pace::default(), &style)).matches(": ping").count(), 2);
    }
}
