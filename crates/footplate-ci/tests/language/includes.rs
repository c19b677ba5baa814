//! Files: `include` of every kind, headers with inputs, merging.

use crate::Case;

#[test]
fn the_including_file_wins() {
    let case = Case::new("include: a.yml\njob: {stage: deploy}\n")
        .file("a.yml", "job: {script: ls, stage: build}\n");
    assert_eq!(case.facts("job")["stage"], "deploy");
    assert_eq!(case.facts("job")["script"], serde_json::json!(["ls"]));
}
