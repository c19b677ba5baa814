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
/// How often one looks again when another process was faster.
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
    /// The queue token of the last look.
    token: String,
    /// The request came with the token of its first look: it may be held.
    may_wait: bool,
    end: Instant,
    /// The queue as it is now was looked at for it.
    looked: bool,
    /// Looks since the last wake-up in which another process was faster.
    late: usize,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who came; `None` ends the service when nobody did and nobody is here.
    fn newcomers(&self, empty: bool) -> Option<Vec<Asker>> {
        let mut waiting = self.lock();
        if empty && waiting.newcomers.is_empty() {
            waiting.attended = false;
            return None;
        }
        Some(std::mem::take(&mut waiting.newcomers))
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
        let mut seekers: Vec<Seeker> = Vec::new();
        while let Some(newcomers) = app.desk().newcomers(seekers.is_empty()) {
            if !newcomers.is_empty() {
                let greeted = app.greet(newcomers).await;
                seekers.extend(greeted.into_iter().filter_map(|of| app.seat(of)));
            }
            seekers.retain(|seeker| !seeker.of.asker.reply.is_closed());
            if let Err(error) = app.serve(&mut seekers).await {
                tracing::error!(%error, "looking for jobs failed");
                let failed = seekers.extract_if(.., |seeker| !seeker.looked);
                failed.for_each(|seeker| seeker.of.asker.refuse(Error::internal(&error)));
            }
            send_away(&mut seekers);
            if seekers.iter().any(|seeker| !seeker.looked) {
                continue;
            }
            let Some(end) = seekers.iter().map(|seeker| seeker.end).min() else {
                continue;
            };
            tokio::select! {
                () = app.desk().bell.notified() => {}
                () = tokio::time::sleep_until(end) => {}
                () = queue.woken() => seekers
                    .iter_mut()
                    .for_each(|seeker| (seeker.looked, seeker.late) = (false, 0)),
            }
        }
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
            token,
            end: Instant::now() + hold,
            looked: false,
            late: 0,
            of,
        })
    }

    /// One look at the queue for those for whom it was not looked at yet.
    async fn serve(&self, seekers: &mut Vec<Seeker>) -> Result<()> {
        let places: Vec<usize> = (0..seekers.len())
            .filter(|place| !seekers[*place].looked)
            .take(AT_ONCE)
            .collect();
        if places.is_empty() {
            return Ok(());
        }
        let mut reaches: Vec<Reach> = Vec::new();
        let mut asks = Vec::with_capacity(places.len());
        for place in &places {
            let seeker = &mut seekers[*place];
            seeker.token = self.queue_token(seeker.of.runner.id);
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
        // What was offered and is gone makes room for more; who lost to another process looks again too.
        let moved = !claims.taken.is_empty() || !claims.unfit.is_empty();
        for (place, list) in places.iter().zip(&lists) {
            let seeker = &mut seekers[*place];
            seeker.late += usize::from(claims.lost);
            let late = claims.lost && seeker.late < LATE;
            seeker.looked = !(late || (moved && full[*list]));
        }
        self.hand_over(seekers, &places, claims.taken);
        for (job, pipeline) in claims.unfit {
            self.fail_unfit(job, pipeline).await?;
        }
        Ok(())
    }

    /// Takes those who got a job from the desk; what their runners have to know is gathered beside the next look.
    fn hand_over(&self, seekers: &mut Vec<Seeker>, places: &[usize], taken: Vec<(usize, Claimed)>) {
        if taken.is_empty() {
            return;
        }
        let mut served: Vec<(usize, Claimed)> = taken
            .into_iter()
            .map(|(asker, claimed)| (places[asker], claimed))
            .collect();
        served.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
        let served: Vec<(Greeted, Claimed)> = served
            .into_iter()
            .map(|(place, claimed)| (seekers.remove(place).of, claimed))
            .collect();
        tokio::spawn(tell(self.clone(), served));
    }
}

/// Answers those who may not wait, or not any longer, and for whom there is nothing.
fn send_away(seekers: &mut Vec<Seeker>) {
    let now = Instant::now();
    let leaving = seekers.extract_if(.., |seeker| {
        seeker.looked && (!seeker.may_wait || seeker.end <= now)
    });
    for seeker in leaving {
        let _ = seeker
            .of
            .asker
            .reply
            .send(Ok(Answer::Nothing(seeker.token)));
    }
}
