//! The desk: all requests for work of this process come here, and one task serves them, many with few statements (DESIGN §8).

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{Notify, oneshot};

use super::{candidates::Offers, greet::JobRequest, material::Told, service::Service};
use crate::{App, Error, Result};

/// Requests that one look serves, so that the first need not wait for what thousands write.
pub(super) const AT_ONCE: usize = 64;

/// Where requests for work arrive.
#[derive(Default)]
pub(crate) struct Desk {
    waiting: Mutex<Waiting>,
    pub(super) bell: Notify,
    /// Rows for the next looks are being read.
    reading: Arc<AtomicBool>,
}

/// Until the end of this, nobody else reads ahead.
pub(super) struct Reading(Arc<AtomicBool>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[derive(Default)]
struct Waiting {
    newcomers: Vec<Asker>,
    /// What the last one who served knew of the queue.
    offers: Offers,
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
    /// A job that was claimed for it, and the request, should it have to come again.
    Job(Box<(Told, JobRequest)>),
    /// Nothing; the queue token to come back with.
    Nothing(String),
}

impl Asker {
    /// Who hung up needs no answer.
    pub(super) fn refuse(self, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who came first of those who have not been served.
    pub(super) fn newcomers(&self) -> Vec<Asker> {
        let mut waiting = self.lock();
        let some = waiting.newcomers.len().min(AT_ONCE);
        waiting.newcomers.drain(..some).collect()
    }

    /// To read rows for the next looks, unless somebody does.
    pub(super) fn begin_reading(&self) -> Option<Reading> {
        let before = self.reading.swap(true, Ordering::Acquire);
        (!before).then(|| Reading(Arc::clone(&self.reading)))
    }

    /// How many have come that have not been served.
    pub(super) fn waiting(&self) -> usize {
        self.lock().newcomers.len()
    }

    /// Ends the service, unless somebody has come. The next one goes on with what this one knows of the queue.
    pub(super) fn close(&self, offers: &mut Offers) -> bool {
        let mut waiting = self.lock();
        waiting.attended = !waiting.newcomers.is_empty();
        if !waiting.attended {
            waiting.offers = std::mem::take(offers);
        }
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
            let offers = std::mem::take(&mut waiting.offers);
            let app = self.clone();
            tokio::spawn(async move {
                let attending = Attending(app);
                Service::new(&attending.0, offers).run().await;
            });
        }
    }
}
