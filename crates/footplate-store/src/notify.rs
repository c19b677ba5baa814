//! Wake-ups after commits. They are hints: whoever waits registers first and then looks at the rows again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use footplate_model::{JobId, PipelineId, ProjectId};
use tokio::sync::watch;

/// What somebody may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Jobs were offered to runners.
    Queue,
    /// Background work was written down.
    Tasks,
    /// Users, namespaces, projects, variables or runners changed: rows of which one is read again and again. Woken by the statements
    /// themselves, before whoever ran them is answered.
    Facts,
    /// A pipeline or job of a project changed.
    Project(ProjectId),
    /// A pipeline or one of its jobs changed.
    Pipeline(PipelineId),
    /// A job or its trace changed.
    Job(JobId),
}

/// Who waits for what, in this process.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    topics: Arc<Mutex<HashMap<Topic, watch::Sender<u64>>>>,
}

/// A place in the queue for one topic; counts from the moment it was made.
#[derive(Debug)]
pub struct Subscription {
    woken: watch::Receiver<u64>,
    topic: Topic,
    hub: Hub,
}

impl Subscription {
    /// Waits until the topic is woken; at once when that happened since the last call.
    pub async fn woken(&mut self) {
        // The hub keeps a topic's sender while it has receivers, so an error cannot come first.
        let _ = self.woken.changed().await;
    }
}

impl Drop for Subscription {
    /// The last one takes the topic along: jobs and pipelines come and go by the million.
    fn drop(&mut self) {
        let mut topics = self.hub.lock();
        if topics
            .get(&self.topic)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            topics.remove(&self.topic);
        }
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, watch::Sender<u64>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers for a topic. Look at the rows after this, then wait.
    pub fn subscribe(&self, topic: Topic) -> Subscription {
        let woken = self
            .lock()
            .entry(topic)
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe();
        Subscription {
            woken,
            topic,
            hub: self.clone(),
        }
    }

    /// How often the topic was woken since somebody first waited for it without a break.
    pub fn count(&self, topic: Topic) -> u64 {
        self.lock().get(&topic).map_or(0, |sender| *sender.borrow())
    }

    /// Wakes everybody who waits for the topic.
    pub fn wake(&self, topic: Topic) {
        if let Some(sender) = self.lock().get(&topic) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_between_register_and_wait_is_not_lost() {
        let hub = Hub::default();
        let mut waiting = hub.subscribe(Topic::Queue);
        hub.wake(Topic::Queue);
        waiting.woken().await;
        let second = hub.subscribe(Topic::Queue);
        drop(waiting);
        assert_eq!(hub.topics.lock().unwrap().len(), 1);
        drop(second);
        assert!(hub.topics.lock().unwrap().is_empty());
    }
}
