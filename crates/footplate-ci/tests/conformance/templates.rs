//! `templates`: every template compiles when a configuration includes it.

use std::{collections::BTreeMap, fs, path::Path};

use footplate_ci::yaml::Map;

use crate::{
    compile::{World, run},
    harness::{Verdicts, folder},
};

const STAGES: &str = "stages: [build, test, provision, init, validate, deploy, review, dast, fuzz, staging, canary, production, incremental rollout 10%, \
     incremental rollout 25%, incremental rollout 50%, incremental rollout 100%, performance, cleanup, destroy]\n";

fn collect(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, root, found);
        } else if path.to_string_lossy().ends_with(".gitlab-ci.yml") {
            found.insert(
                path.strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
                fs::read_to_string(&path).unwrap(),
            );
        }
    }
}

#[test]
fn templates() {
    let Some(folder) = folder("templates") else {
        return;
    };
    let mut all = BTreeMap::new();
    collect(&folder, &folder, &mut all);
    let mut verdicts = Verdicts::default();
    for name in all.keys() {
        let find = |wanted: &str| all.get(wanted).cloned();
        let world = World {
            files: Vec::new(),
            exists: Vec::new(),
            changed: None,
            template: &find,
        };
        let beside = if name.ends_with("DAST-Default-Branch-Deploy.gitlab-ci.yml") {
            "  - template: Security/DAST.gitlab-ci.yml\n"
        } else {
            ""
        };
        let text = |stages: &str| {
            format!(
                "include:\n  - template: {name}\n{beside}{stages}conformance-job:\n  script: [\"true\"]\n"
            )
        };
        let compile = |stages: &str| {
            run(&text(stages), None, Map::default(), false, true, &world)
                .map(|_| ())
                .map_err(|(errors, _)| errors)
        };
        let mut outcome = compile("");
        if outcome
            .as_ref()
            .is_err_and(|errors| errors.iter().any(|error| error.contains("chosen stage")))
        {
            outcome = compile(STAGES);
        }
        if outcome
            .as_ref()
            .is_err_and(|errors| errors.iter().any(|error| error.contains("chosen stage")))
        {
            // A file with stages of its own that has no `test`, where the job would be by default.
            let own = format!(
                "include:\n  - template: {name}\n{beside}conformance-job:\n  stage: .pre\n  script: [\"true\"]\n"
            );
            outcome = run(&own, None, Map::default(), false, true, &world)
                .map(|_| ())
                .map_err(|(errors, _)| errors);
        }
        match outcome {
            // It includes one that is not in the folder.
            Err(errors)
                if errors
                    .iter()
                    .any(|error| error.contains("is not a valid location")) =>
            {
                println!("{name}: includes a template that is not there");
            }
            Err(errors) => verdicts.add(name.clone(), Some(format!("{errors:?}"))),
            Ok(()) => verdicts.add(name.clone(), None),
        }
    }
    verdicts.judge("templates");
}
