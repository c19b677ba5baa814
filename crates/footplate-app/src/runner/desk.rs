//! The desk: all requests for work of this process come here, and one task serves them, many with few statements (DESIGN §8).
//!
//! Requests that are held stay at the desk. When the queue is woken it is looked at once for all of them, however many there are,
//! and only those that got a job or whose time is over leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use footplate_store::Topic;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    candidates::{CANDIDATES, Reach, candidates},
    claim::{Ask, Claimed, Claims},
    greet::{Greeted, JobRequest},
    material::{Told, tell},
};
use crate::{App, Error, Result};

/// Requests that one look serves, so that the first need not wait for what thousands write.
const AT_ONCE: usize = 64;
/// How often one looks again at once when others were faster.
const LATE: usize = 4;

/// Where requests for work arrive.
#[derive(Default)]
pub(crate) struct Desk {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Default)]
struct Waiting {
    newcomers: Vec<Asker>,
    /// The task that serves them runs.
    attended: bool,
}

/// A request for work and where its answer goes.
pub(super) struct Asker {
    pub(super) request: JobRequest,
    pub(super) reply: oneshot::Sender<Result<Answer>>,
}

/// What a request gets.
pub(super) enum Answer {
    /// A job that was claimed for it.
    Job(Box<Told>),
    /// Nothing; the queue token to come back with.
    Nothing(String),
}

impl Asker {
    /// Who hung up needs no answer.
    pub(super) fn refuse(self, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

/// Somebody at the desk.
struct Seeker {
    of: Greeted,
    reach: Reach,
    /// The request came with the queue token of its first look: it may be held.
    may_wait: bool,
    end: Instant,
    /// How often the queue had been woken before it was last looked at for this one.
    seen: Option<u64>,
    /// Looks in a row in which others were faster.
    late: usize,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who came first of those who have not been served.
    fn newcomers(&self) -> Vec<Asker> {
        let mut waiting = self.lock();
        let some = waiting.newcomers.len().min(AT_ONCE);
        waiting.newcomers.drain(..some).collect()
    }

    /// Ends the service, unless somebody has come.
    fn close(&self) -> bool {
        let mut waiting = self.lock();
        waiting.attended = !waiting.newcomers.is_empty();
        !waiting.attended
    }
}

/// Lets the next request start the service anew when this one was broken off by a panic; who waited hears of it.
struct Attending(App);

impl Drop for Attending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.desk().lock() = Waiting::default();
        }
    }
}

impl App {
    /// Brings a request to the desk.
    pub(super) fn ask(&self, asker: Asker) {
        let mut waiting = self.desk().lock();
        waiting.newcomers.push(asker);
        if waiting.attended {
            self.desk().bell.notify_one();
        } else {
            waiting.attended = true;
            tokio::spawn(self.clone().attend());
        }
    }

    /// Serves those at the desk until nobody is left.
    async fn attend(self) {
        let attending = Attending(self);
        let app = &attending.0;
        let mut queue = app.db().subscribe(Topic::Queue);
        let mut held: Vec<Seeker> = Vec::new();
        loop {
            let (newcomers, again) = (app.desk().newcomers(), app.restless(&mut held));
            if !newcomers.is_empty() || !again.is_empty() {
                // Whoever comes meanwhile gathers for the next look.
                held.extend(app.visit(newcomers, again).await);
                send_away(app, &mut held);
                continue;
            }
            let Some(end) = held.iter().map(|seeker| seeker.end).min() else {
                if app.desk().close() {
                    return;
                }
                continue;
            };
            tokio::select! {
                () = app.desk().bell.notified() => {}
                () = queue.woken() => {}
                () = tokio::time::sleep_until(end) => send_away(app, &mut held),
            }
        }
    }

    /// Takes those from the desk for whom the queue as it is now was not looked at.
    fn restless(&self, held: &mut Vec<Seeker>) -> Vec<Seeker> {
        let woken = self.db().wakes(Topic::Queue);
        let mut left = AT_ONCE;
        let restless = held.extract_if(.., |seeker| {
            let restless = left > 0 && seeker.seen != Some(woken);
            left -= usize::from(restless);
            restless
        });
        restless
            .filter(|seeker| !seeker.of.asker.reply.is_closed())
            .collect()
    }

    /// Greets newcomers and looks at the queue for them and for others; who got no job comes back.
    async fn visit(&self, newcomers: Vec<Asker>, mut seekers: Vec<Seeker>) -> Vec<Seeker> {
        if !newcomers.is_empty() {
            let greeted = self.greet(newcomers).await;
            seekers.extend(greeted.into_iter().filter_map(|of| self.seat(of)));
        }
        seekers.retain(|seeker| !seeker.of.asker.reply.is_closed());
        if seekers.is_empty() {
            return seekers;
        }
        if let Err(error) = self.look(&mut seekers).await {
            tracing::error!(%error, "looking for jobs failed");
            let failed = seekers.drain(..);
            failed.for_each(|seeker| seeker.of.asker.refuse(Error::internal(&error)));
        }
        seekers
    }

    /// Gives a newcomer its place; one that is paused goes at once.
    fn seat(&self, of: Greeted) -> Option<Seeker> {
        let token = self.queue_token(of.runner.id);
        if of.runner.paused {
            let _ = of.asker.reply.send(Ok(Answer::Nothing(token)));
            return None;
        }
        let hold = self.settings().hold;
        Some(Seeker {
            may_wait: !hold.is_zero()
                && of.asker.request.last_update.as_deref() == Some(token.as_str()),
            reach: Reach::of(&of.runner),
            end: Instant::now() + hold,
            seen: None,
            late: 0,
            of,
        })
    }

    /// One look at the queue. Those who got a job leave.
    async fn look(&self, seekers: &mut Vec<Seeker>) -> Result<()> {
        let woken = self.db().wakes(Topic::Queue);
        let mut reaches: Vec<Reach> = Vec::new();
        let mut asks = Vec::with_capacity(seekers.len());
        for seeker in &*seekers {
            let known = reaches.iter().position(|reach| *reach == seeker.reach);
            let offered = known.unwrap_or_else(|| {
                reaches.push(seeker.reach.clone());
                reaches.len() - 1
            });
            asks.push(Ask {
                runner: Arc::clone(&seeker.of.runner),
                manager: seeker.of.manager,
                features: seeker.of.asker.request.info.features.clone(),
                offered,
            });
        }
        let offered = self
            .db()
            .read(async move |tx| candidates(tx, &reaches).await)
            .await?;
        let full: Vec<bool> = offered
            .iter()
            .map(|list| list.len() as i64 >= CANDIDATES)
            .collect();
        let lists: Vec<usize> = asks.iter().map(|ask| ask.offered).collect();
        let mut claims = Claims::default();
        if offered.iter().any(|list| !list.is_empty()) {
            claims = self.claim(Arc::new(asks), offered).await?;
        }
        // What was offered and is gone makes room for more; who was too late for something looks again, too.
        let moved = !claims.taken.is_empty() || !claims.unfit.is_empty();
        for (seeker, list) in seekers.iter_mut().zip(&lists) {
            seeker.late = if claims.lost { seeker.late + 1 } else { 0 };
            let again = (claims.lost && seeker.late < LATE) || (moved && full[*list]);
            seeker.seen = (!again).then_some(woken);
        }
        self.hand_over(seekers, claims.taken);
        for (job, pipeline) in claims.unfit {
            self.fail_unfit(job, pipeline).await?;
        }
        Ok(())
    }

    /// Takes those who got a job from the others; what their runners have to know is gathered beside the next look.
    fn hand_over(&self, seekers: &mut Vec<Seeker>, mut taken: Vec<(usize, Claimed)>) {
        if taken.is_empty() {
            return;
        }
        taken.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
        let served: Vec<(Greeted, Claimed)> = taken
            .into_iter()
            .map(|(place, claimed)| (seekers.remove(place).of, claimed))
            .collect();
        tokio::spawn(tell(self.clone(), served));
    }
}

/// Answers those for whom there was nothing at the last look, where they may not wait or their time is over.
fn send_away(app: &App, held: &mut Vec<Seeker>) {
    let now = Instant::now();
    let over = |seeker: &mut Seeker| !seeker.may_wait || seeker.end <= now;
    for seeker in held.extract_if(.., |seeker| seeker.seen.is_some() && over(seeker)) {
        let token = app.queue_token_at(seeker.of.runner.id, seeker.seen.unwrap_or_default());
        let _ = seeker.of.asker.reply.send(Ok(Answer::Nothing(token)));
    }
}
