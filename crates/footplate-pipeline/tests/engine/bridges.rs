//! Bridges and resource groups between two pipelines (E24, E25), joined as the application joins them.

use footplate_model::{FailureReason, Status};
use footplate_pipeline::{Effect, Event};

use crate::harness::{Play, USER};

struct Family {
    parent: Play,
    child: Play,
}

impl Family {
    fn new(strategy: &str, child: &str) -> Self {
        let mut parent = Play::new(&format!("b:build; c:test bridge {strategy}; d:deploy"));
        parent.event("process", &[]);
        let mut child = Play::new(child);
        child.snapshot.pipeline.has_upstream = true;
        Self { parent, child }
    }

    /// Starts the child when the bridge asks for it.
    fn start(&mut self) {
        let bridge = self.parent.key("c");
        assert!(self.parent.outside.contains(&Effect::StartBridge(bridge)));
        self.child.event("process", &[]);
        self.parent.send(Event::DownstreamCreated(bridge)).unwrap();
    }

    fn child_event(&mut self, verb: &str, names: &[&str]) {
        self.child.event(verb, names);
        let bridge = self.parent.key("c");
        for effect in std::mem::take(&mut self.child.outside) {
            match effect {
                Effect::TellUpstream(status) => self
                    .parent
                    .send(Event::DownstreamMoved {
                        job: bridge,
                        status,
                    })
                    .unwrap(),
                Effect::ReopenUpstream { user } => self
                    .parent
                    .send(Event::DownstreamReopened { job: bridge, user })
                    .unwrap(),
                _ => {}
            }
        }
    }
}

#[test]
fn e25_a_bridge_that_depends() {
    let mut family = Family::new("depend", "x:test");
    family.parent.event("succeed", &["b"]);
    family.start();
    assert_eq!(
        family.parent.state(),
        "b success, c running, d created | success running created | running"
    );
    assert_eq!(family.child.snapshot.pipeline.status, Status::Pending);
    family.child_event("fail", &["x"]);
    assert_eq!(
        family.parent.state(),
        "b success, c failed, d skipped | success failed skipped | failed"
    );
    family.child_event("retry", &["x"]);
    assert_eq!(family.child.snapshot.pipeline.status, Status::Running);
    assert_eq!(family.parent.jobs(), "b success, c pending, d created");
    assert_eq!(family.parent.snapshot.pipeline.status, Status::Running);
    family.child_event("succeed", &["x"]);
    assert_eq!(family.parent.jobs(), "b success, c success, d pending");
    family.parent.event("succeed", &["d"]);
    assert_eq!(family.parent.snapshot.pipeline.status, Status::Success);
}

#[test]
fn e25_without_strategy_the_child_may_fail() {
    let mut family = Family::new("", "x:test");
    family.parent.event("succeed", &["b"]);
    family.start();
    assert_eq!(family.parent.jobs(), "b success, c success, d pending");
    family.child_event("fail", &["x"]);
    family.parent.event("succeed", &["d"]);
    assert_eq!(family.parent.snapshot.pipeline.status, Status::Success);
}

#[test]
fn e25_a_child_that_cannot_be_made_fails_the_bridge() {
    let mut family = Family::new("depend", "x:test");
    family.parent.event("succeed", &["b"]);
    let job = family.parent.key("c");
    family
        .parent
        .send(Event::Drop {
            job,
            reason: FailureReason::DownstreamPipelineCreationFailed,
            exit_code: None,
        })
        .unwrap();
    assert_eq!(
        family.parent.state(),
        "b success, c failed, d skipped | success failed skipped | failed"
    );
}

#[test]
fn e25_a_blocked_child_keeps_the_bridge_running() {
    let mut family = Family::new("depend", "x:test manual");
    family.child.snapshot.jobs[0].allow_failure = false;
    family.parent.event("succeed", &["b"]);
    family.start();
    assert_eq!(family.child.snapshot.pipeline.status, Status::Manual);
    assert_eq!(family.parent.jobs(), "b success, c running, d created");
}

#[test]
fn canceling_a_bridge_cancels_its_child() {
    let mut family = Family::new("depend", "x:test");
    family.parent.event("succeed", &["b"]);
    family.start();
    family.parent.event("cancel-pipeline", &[]);
    let bridge = family.parent.key("c");
    assert!(
        family
            .parent
            .outside
            .contains(&Effect::CancelDownstream(bridge))
    );
    assert_eq!(family.parent.snapshot.pipeline.status, Status::Canceled);
}

#[test]
fn e24_one_at_a_time() {
    let (mut one, mut two) = (
        Play::new("b:build; d:deploy group=prod"),
        Play::new("b:build; d:deploy group=prod"),
    );
    one.grants = false;
    two.grants = false;
    one.event("process", &[]);
    two.event("process", &[]);
    one.event("succeed", &["b"]);
    one.send(Event::ResourceGranted(one.key("d"))).unwrap();
    assert_eq!(one.jobs(), "b success, d pending");
    two.event("succeed", &["b"]);
    assert_eq!(
        two.state(),
        "b success, d waiting_for_resource | success waiting_for_resource | waiting_for_resource"
    );
    one.event("succeed", &["d"]);
    assert!(
        one.outside
            .iter()
            .any(|effect| matches!(effect, Effect::ReleaseResource(_)))
    );
    two.send(Event::ResourceGranted(two.key("d"))).unwrap();
    assert_eq!(
        (one.snapshot.pipeline.status, two.snapshot.pipeline.status),
        (Status::Success, Status::Running)
    );
    let _ = USER;
}
