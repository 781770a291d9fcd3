//! An inference request: checked, answered, billed.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};

use crate::admission::{self, Admitted, Ask, Demand, Payer, Refused};
use crate::answer::{Answer, CostReport, Stop, Utterance};
use crate::body::{Body, Broken};
use crate::cache::Owner;
use crate::conversation::{Block, Conversation};
use crate::exchange::Bill;
use crate::fault::Stage;
use crate::model::Format;
use crate::price::{Money, Tokens};
use crate::refusal::{Reply, Row};
use crate::request;
use crate::route::{Layout, Target};
use crate::schedule::Schedule;
use crate::service::{self, Bend, Struck, Talk, respond};
use crate::settings::{Pace, Settings};
use crate::world::World;

static ANSWERS: AtomicU64 = AtomicU64::new(1);

/// The body of an inference request and what was read of it.
pub(crate) struct Post {
    layout: Layout,
    format: Format,
    /// The credential as this endpoint reads it.
    key: Option<String>,
    model: Option<String>,
    pub(crate) body: Bytes,
    conversation: Option<Conversation>,
}

impl Post {
    /// `None` for targets that are no inference endpoint.
    pub(crate) fn read(
        target: &Target,
        headers: &HeaderMap,
        body: Bytes,
        model: Option<String>,
    ) -> Option<Self> {
        let (layout, format) = match target {
            Target::Infer(layout, format) => (*layout, *format),
            Target::Google { .. } => (Layout::New, Format::Google),
            _ => return None,
        };
        let mut conversation = Conversation::read(format, &body);
        if let (Some(conversation), Target::Google { stream, .. }) = (&mut conversation, target) {
            conversation.stream = *stream;
        }
        if let (Some(conversation), Format::Systemone) = (&mut conversation, format) {
            conversation.stream = false;
        }
        let key = request::credential(layout, format, headers);
        Some(Self { layout, format, key, model, body, conversation })
    }

    pub(crate) fn streams(&self) -> bool {
        self.conversation.as_ref().is_some_and(|conversation| conversation.stream)
    }
}

/// Answers an inference request whose body has been read.
pub(crate) async fn answer(
    mut talk: Talk,
    post: Post,
    mut bend: Bend,
) -> Result<Response<Body>, Broken> {
    let format = post.format;
    if post.layout == Layout::Legacy && talk.shared.world().settings.routing_down {
        return Ok(talk.row(&Row::RoutingDown));
    }
    // The router forwards whatever header the key came in (upstream.md §0.1).
    let new = service::is_new(&talk.shared, post.layout, talk.secret.as_deref());
    let forwarded = new && post.layout == Layout::Legacy;
    let key = if forwarded { talk.secret.clone() } else { post.key.clone() };
    let now = talk.shared.clock.now_ms();
    let ask = Ask {
        format,
        model: post.model.as_deref(),
        key: key.as_deref(),
        caller: &talk.caller,
        body_len: post.body.len(),
    };
    let checked = {
        let mut world = talk.shared.world();
        if new {
            admission::inference(&mut world, &ask, now, forwarded)
        } else {
            admission::legacy(&mut world, &ask, now)
        }
    };
    let admitted = match checked {
        Ok(admitted) => admitted,
        Err(refused) => return Ok(refuse(talk, &refused)),
    };
    // The service writes the id of its own model, whatever alias was asked for.
    match talk.strike(Stage::Provider, false).await? {
        Struck::Reply(reply) => return Ok(talk.reply(reply)),
        Struck::Bend(struck) => bend = struck,
        Struck::Spared => {}
    }
    let ask = Ask {
        format,
        model: post.model.as_deref(),
        key: key.as_deref(),
        caller: &talk.caller,
        body_len: post.body.len(),
    };
    let demand = Demand {
        translated: new,
        session: talk.session.is_some(),
        tokens: post.conversation.as_ref().map(Conversation::prompt_tokens),
    };
    let refused = admission::provider(&talk.shared.world(), &admitted, &ask, &demand);
    if let Err(row) = refused {
        return Ok(talk.row(&row));
    }
    let conversation = post.conversation.unwrap_or_default();
    let (answer, bill, pace) = {
        let mut world = talk.shared.world();
        let session = talk.session.as_deref().unwrap_or_default();
        think(&mut world, &admitted, &conversation, &post.body, session, new, now)
    };
    let style = admitted.model.style;
    talk.exchange.owes(bill);
    if conversation.stream {
        let frames = answer.frames(format, &style);
        let schedule = Schedule::stream(&frames, &style, &pace, now).chunked(pace.chunk);
        let schedule = bend.apply(schedule, format, &style);
        talk.shared.clock.sleep(pace.headers_ms).await;
        talk.exchange.answers(200);
        let headers = vec![
            (CONTENT_TYPE, "text/event-stream".to_owned()),
            (CACHE_CONTROL, "no-cache".to_owned()),
        ];
        let Talk { shared, exchange, .. } = talk;
        return Ok(respond(&shared, StatusCode::OK, headers, schedule, Some(exchange)));
    }
    let deltas = answer.text.len() as u64 / (answer.grain.max(1) * 4);
    let speaking = pace.gap_ms.saturating_mul(deltas);
    let thinking = pace.headers_ms.saturating_add(pace.first_ms).saturating_add(speaking);
    talk.shared.clock.sleep(thinking).await;
    let schedule = Schedule::whole(answer.whole(format, &style));
    let schedule = bend.apply(schedule, format, &style);
    talk.exchange.answers(200);
    let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
    let Talk { shared, exchange, .. } = talk;
    Ok(respond(&shared, StatusCode::OK, headers, schedule, Some(exchange)))
}

fn refuse(talk: Talk, refused: &Refused) -> Response<Body> {
    let reply = talk.row_reply(&refused.row);
    let status = refused.status.and_then(|status| StatusCode::from_u16(status).ok());
    let reply = Reply { status: status.unwrap_or(reply.status), ..reply };
    talk.reply(reply)
}

/// What the model says, and what it costs.
fn think(
    world: &mut World,
    admitted: &Admitted,
    conversation: &Conversation,
    body: &[u8],
    session: &str,
    new: bool,
    now: i64,
) -> (Answer, Bill, Pace) {
    let model = &admitted.model;
    let Settings { pace, cache, .. } = world.settings;
    let speech = model.speech.clone().unwrap_or_else(|| world.settings.speech.clone());
    let script = world.script(&model.id);
    let most = conversation.max_tokens.unwrap_or(model.max_output).min(model.max_output);
    let said = match &script {
        Some(script) if conversation.tools => {
            Utterance::scripted(script.speak(conversation.turns, body), &speech)
        }
        Some(script) => {
            let speech = crate::settings::Speech { text: script.last_words(), ..speech.clone() };
            Utterance::unscripted(&speech, most)
        }
        None => Utterance::unscripted(&speech, most),
    };
    let account = admitted.account.clone().filter(|_| cache.lost_on_switch);
    let owner = Owner { model: model.id.clone(), session: session.to_owned(), account };
    let read = world.cache.prompt(owner, &conversation.blocks, &cache, now);
    let tokens = Tokens {
        output: said.output,
        reasoning: said.reasoning,
        ..written(read, &conversation.blocks, model.price.base.cache_write.is_some())
    };
    let bill = Bill::of(admitted, tokens, now);
    let paid = if admitted.payer == Payer::Balance { bill.paid } else { Money::ZERO };
    let cost =
        if new { CostReport::New { list: bill.list, paid } } else { CostReport::Legacy { paid } };
    let stop = match (said.spoken.calls.is_empty(), said.cut) {
        (false, _) => Stop::Tools,
        (true, true) => Stop::Length,
        (true, false) => Stop::End,
    };
    let number = ANSWERS.fetch_add(1, Ordering::Relaxed);
    let answer = Answer {
        id: format!("emu{number:012x}"),
        model: model.id.clone(),
        created: now / 1_000,
        reasoning: said.spoken.reasoning,
        text: said.spoken.text,
        calls: said.spoken.calls,
        tokens,
        stop,
        grain: said.grain,
        cost,
    };
    (answer, bill, model.pace.unwrap_or(pace))
}

/// Where writing to the cache has a price, new blocks but the last are written.
fn written(read: Tokens, blocks: &[Block], priced: bool) -> Tokens {
    let last = blocks.last().map_or(0, |block| block.tokens).min(read.input);
    if !priced {
        return read;
    }
    Tokens { input: last, cache_write: read.input - last, ..read }
}
