//! What a configuration asks for that Footplate does not do (yet): accepted as GitLab accepts it, and said plainly.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::{compiler::Compiled, diagnostic::Diagnostic, expand::Instance, job::Job};

/// Keywords without effect, and what that means.
const WITHOUT_EFFECT: [(&str, &str); 6] = [
    (
        "pages",
        "nothing is published: there is no Pages hosting here",
    ),
    ("identity", "no cloud identity is exchanged"),
    ("dast_configuration", "there are no DAST profiles here"),
    (
        "manual_confirmation",
        "nobody is asked before the job starts",
    ),
    (
        "inputs",
        "the defaults are used: values cannot be given when the job starts",
    ),
    (
        "bridge_needs",
        "the status of another pipeline is not mirrored",
    ),
];

impl Compiled {
    /// One note for each thing that a job asks for and does not get.
    pub fn notes(&self) -> Vec<Diagnostic> {
        let mut notes = Vec::new();
        let mut last: Option<&Arc<Job>> = None;
        for instance in &self.instances {
            // Instances of one job stand together.
            if !last.is_some_and(|last| Arc::ptr_eq(last, &instance.job)) {
                of_job(&instance.job, instance, &mut notes);
            }
            last = Some(&instance.job);
        }
        notes
    }
}

fn of_job(job: &Job, instance: &Instance, notes: &mut Vec<Diagnostic>) {
    let mut note = |what: &str, text: &str| {
        let message = format!("jobs:{} {what} has no effect: {text}", job.name);
        notes.push(Diagnostic::new(message, job.span));
    };
    for (keyword, text) in WITHOUT_EFFECT {
        let given = job.keywords.get(keyword).unwrap_or(&Json::Null);
        if !given.is_null() && *given != Json::Bool(false) {
            let name = if keyword == "bridge_needs" {
                "needs:pipeline"
            } else {
                keyword
            };
            note(name, text);
        }
    }
    let environment = job.keywords.get("environment");
    if environment.is_some_and(|environment| !environment["kubernetes"].is_null()) {
        note("environment:kubernetes", "there is no cluster behind it");
    }
    if !instance.cross.is_empty() {
        let text = "artifacts of other projects and pipelines are not fetched yet";
        note("needs:project or needs:pipeline", text);
    }
}
