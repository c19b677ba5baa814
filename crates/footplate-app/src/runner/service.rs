//! The service at the desk. Requests that are held stay here. When the queue is woken it is looked at once for all of them, however many
//! there are, and only those that got a job or whose time is over leave.
//!
//! While one look waits for its commit, the next can be made: it is offered what is not of a pipeline that the other has for itself.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use footplate_model::PipelineId;
use footplate_store::{
    Topic,
    queue::{CANDIDATES, Candidate},
};
use tokio::{
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use super::{
    candidates::{Offers, Reach},
    claim::{Ask, Claims},
    desk::{AT_ONCE, Answer, Asker},
    division::{Division, Share, Wanting, divide},
    greet::Greeted,
    handout::Taken,
    material::Told,
};
use crate::{App, Error, Result};

/// Looks that go on at the same time.
const LOOKS: usize = 2;
/// Rows for so many looks are read at once.
const AHEAD: usize = 8;
/// How often one looks again at once when others were faster.
const LATE: usize = 4;

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
    /// It did not fit what it was offered: the next time it is offered everything.
    picky: bool,
}

/// What serves those at the desk.
pub(super) struct Service<'s> {
    app: &'s App,
    held: Vec<Seeker>,
    offers: Offers,
    looks: JoinSet<Look>,
    /// What each of the looks holds.
    locked: HashMap<task::Id, Locked>,
    /// There is nothing to be gained before one of the looks ends.
    blocked: bool,
}

/// What a look holds.
struct Locked {
    pipelines: HashSet<PipelineId>,
    seekers: usize,
}

/// A look at the queue that has ended.
struct Look {
    /// Those who got nothing; all of them where it failed.
    seekers: Vec<Seeker>,
    /// How often the queue had been woken before.
    woken: u64,
    /// By the lists of the seekers' reaches.
    share: HashMap<Reach, Share>,
    /// Some of what was offered is gone.
    moved: bool,
    claims: Result<Claims>,
}

impl<'s> Service<'s> {
    pub(super) fn new(app: &'s App, offers: Offers) -> Self {
        Self {
            app,
            held: Vec::new(),
            offers,
            looks: JoinSet::new(),
            locked: HashMap::new(),
            blocked: false,
        }
    }

    /// Serves those at the desk until nobody is left.
    pub(super) async fn run(mut self) {
        let (app, desk) = (self.app, self.app.desk());
        let mut queue = app.db().subscribe(Topic::Queue);
        loop {
            while let Some(ended) = self.looks.try_join_next_with_id() {
                self.end(ended).await;
            }
            if self.may_look() {
                let (newcomers, again) = (desk.newcomers(), self.restless());
                if !newcomers.is_empty() || !again.is_empty() {
                    // Whoever comes meanwhile gathers for the next look.
                    self.visit(newcomers, again).await;
                    self.send_away();
                    continue;
                }
            }
            if self.held.is_empty() && self.looks.is_empty() {
                if desk.close(&mut self.offers) {
                    return;
                }
                continue;
            }
            let looked = self.held.iter().filter(|seeker| seeker.seen.is_some());
            let end = looked.map(|seeker| seeker.end).min();
            let over = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = desk.bell.notified() => {}
                () = queue.woken() => {}
                Some(ended) = self.looks.join_next_with_id() => self.end(ended).await,
                () = over => self.send_away(),
            }
        }
    }

    /// Whether the next look may be made. Beside another one it is worth its statements only if it serves as many.
    fn may_look(&self) -> bool {
        let largest = self.locked.values().map(|of| of.seekers).max();
        !self.blocked
            && self.looks.len() < LOOKS
            && largest.is_none_or(|largest| {
                let woken = self.app.db().wakes(Topic::Queue);
                let restless = self.held.iter().filter(|one| one.seen != Some(woken));
                self.app.desk().waiting() + restless.count() >= largest
            })
    }

    /// Takes those from the desk for whom the queue as it is now was not looked at.
    fn restless(&mut self) -> Vec<Seeker> {
        let woken = self.app.db().wakes(Topic::Queue);
        let mut left = AT_ONCE;
        let restless = self.held.extract_if(.., |seeker| {
            let restless = left > 0 && seeker.seen != Some(woken);
            left -= usize::from(restless);
            restless
        });
        restless
            .filter(|seeker| !seeker.of.asker.reply.is_closed())
            .collect()
    }

    /// Greets newcomers and begins a look at the queue for them and for others.
    async fn visit(&mut self, newcomers: Vec<Asker>, mut seekers: Vec<Seeker>) {
        if !newcomers.is_empty() {
            let greeted = self.app.greet(newcomers).await;
            seekers.extend(greeted.into_iter().filter_map(|of| self.seat(of)));
        }
        seekers.retain(|seeker| !seeker.of.asker.reply.is_closed());
        if seekers.is_empty() {
            return;
        }
        let mut reaches: Vec<Reach> = Vec::new();
        for seeker in &seekers {
            if !reaches.contains(&seeker.reach) {
                reaches.push(seeker.reach.clone());
            }
        }
        match self.offers.renew(self.app, &reaches).await {
            Ok(woken) => self.look(seekers, reaches, woken),
            Err(error) => self.fail(seekers, &error),
        }
    }

    /// Gives a newcomer its place; one that is paused goes at once.
    fn seat(&self, of: Greeted) -> Option<Seeker> {
        let token = self.app.queue_token(of.runner.id);
        if of.runner.paused {
            let _ = of.asker.reply.send(Ok(Answer::Nothing(token)));
            return None;
        }
        let hold = self.app.settings().hold;
        Some(Seeker {
            may_wait: !hold.is_zero()
                && of.asker.request.last_update.as_deref() == Some(token.as_str()),
            reach: Reach::of(&of.runner),
            end: Instant::now() + hold,
            seen: None,
            late: 0,
            picky: false,
            of,
        })
    }

    /// Begins a look at the queue, if there is something for them.
    fn look(&mut self, mut seekers: Vec<Seeker>, reaches: Vec<Reach>, woken: u64) {
        let picky = seekers.iter().any(|seeker| seeker.picky);
        if picky && !self.looks.is_empty() {
            self.blocked = true;
            self.held.extend(seekers);
            return;
        }
        let asks: Vec<Ask> = seekers
            .iter()
            .map(|seeker| Ask {
                runner: Arc::clone(&seeker.of.runner),
                manager: seeker.of.manager,
                features: Arc::clone(&seeker.of.asker.request.info.features),
                offered: reaches
                    .iter()
                    .position(|reach| *reach == seeker.reach)
                    .unwrap_or_default(),
            })
            .collect();
        let busy = self.locked.values().flat_map(|of| &of.pipelines);
        let busy: HashSet<PipelineId> = busy.copied().collect();
        let lists = reaches.iter().enumerate().map(|(list, reach)| Wanting {
            candidates: self.offers.jobs(reach),
            seekers: asks.iter().filter(|ask| ask.offered == list).count(),
        });
        let lists: Vec<Wanting<'_>> = lists.collect();
        let Division {
            pipelines,
            offered,
            shares,
        } = divide(&lists, &busy, picky);
        let ahead = ahead(&lists, &busy);
        let share: HashMap<Reach, Share> = reaches.into_iter().zip(shares).collect();
        if pipelines.is_empty() {
            for seeker in &mut seekers {
                let locked = share.get(&seeker.reach).is_some_and(|share| share.locked);
                self.blocked |= locked;
                seeker.seen = (!locked).then_some(woken);
            }
            self.held.extend(seekers);
            return;
        }
        let app = self.app.clone();
        let (count, queue_size) = (seekers.len(), self.offers.queue_size);
        let look = self.looks.spawn(async move {
            let mut claims = app.claim(asks, offered, ahead).await;
            let mut moved = false;
            if let Ok(claims) = &mut claims {
                moved = !claims.taken.is_empty() || !claims.unfit.is_empty();
                hand_over(&mut seekers, &mut claims.taken, queue_size);
            }
            Look {
                seekers,
                woken,
                share,
                moved,
                claims,
            }
        });
        let locked = Locked {
            pipelines,
            seekers: count,
        };
        self.locked.insert(look.id(), locked);
    }

    /// Ends a look. Those who got a job have left.
    async fn end(&mut self, ended: Result<(task::Id, Look), JoinError>) {
        self.blocked = false;
        let (id, look) = match ended {
            Ok((id, look)) => (id, Some(look)),
            // Whoever it was made for hears of it because nobody is there any more to answer.
            Err(error) => (error.id(), None),
        };
        self.locked.remove(&id);
        let Some(mut look) = look else {
            self.offers = Offers::default();
            return;
        };
        let claims = match look.claims {
            Ok(claims) => claims,
            Err(error) => return self.fail(look.seekers, &error),
        };
        self.offers.forget(&claims.gone);
        // What was offered and is gone makes room for more; who was too late for something looks again, too.
        for seeker in &mut look.seekers {
            let share = look.share.get(&seeker.reach).copied().unwrap_or_default();
            seeker.late = if claims.lost { seeker.late + 1 } else { 0 };
            seeker.picky = !seeker.picky && (share.cut || (share.locked && !look.moved));
            let again = seeker.picky
                || share.locked
                || (claims.lost && seeker.late < LATE)
                || (look.moved && self.offers.full(&seeker.reach));
            seeker.seen = (!again).then_some(look.woken);
        }
        self.held.extend(look.seekers);
        for (job, pipeline) in claims.unfit {
            if let Err(error) = self.app.fail_unfit(job, pipeline).await {
                tracing::error!(%error, %job, "a job that may not run could not be failed");
            }
        }
        self.send_away();
    }

    fn fail(&mut self, seekers: Vec<Seeker>, error: &Error) {
        tracing::error!(%error, "looking for jobs failed");
        self.offers = Offers::default();
        for seeker in seekers {
            seeker.of.asker.refuse(Error::internal(error));
        }
    }

    /// Answers those for whom there was nothing at the last look, where they may not wait or their time is over.
    fn send_away(&mut self) {
        let now = Instant::now();
        let over = |seeker: &mut Seeker| !seeker.may_wait || seeker.end <= now;
        let away = self
            .held
            .extract_if(.., |seeker| seeker.seen.is_some() && over(seeker));
        for seeker in away {
            let seen = seeker.seen.unwrap_or_default();
            let token = self.app.queue_token_at(seeker.of.runner.id, seen);
            let _ = seeker.of.asker.reply.send(Ok(Answer::Nothing(token)));
        }
    }
}

/// What the next looks will be offered, as far as nobody holds it.
fn ahead(lists: &[Wanting<'_>], busy: &HashSet<PipelineId>) -> Vec<Candidate> {
    let mut ahead = Vec::new();
    for list in lists {
        let candidates = list.candidates.iter();
        let free = candidates.filter(|of| !busy.contains(&of.pipeline));
        ahead.extend(free.take(AHEAD * list.seekers).copied());
    }
    ahead.truncate(CANDIDATES);
    ahead
}

/// Takes those who got a job from the others and hands it to them.
fn hand_over(seekers: &mut Vec<Seeker>, taken: &mut Vec<Taken>, queue_size: i64) {
    taken.sort_unstable_by_key(|taken| taken.place);
    while let Some(taken) = taken.pop() {
        let Greeted { asker, runner, .. } = seekers.remove(taken.place).of;
        let told = Told {
            runner,
            claimed: taken.claimed,
            sealed: taken.sealed,
            queue_size,
        };
        // Who hung up meanwhile does not take the job; it goes back to the queue when nobody calls for it.
        let answer = Answer::Job(Box::new((told, asker.request)));
        let _ = asker.reply.send(Ok(answer));
    }
}
