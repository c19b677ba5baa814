//! Jobs: their kinds, rules, needs, policies, and what becomes of the pipeline.

use crate::Case;

#[test]
fn when_of_a_matching_rule_wins() {
    let case = Case::new(
        "deploy:\n  script: ls\n  rules: [{if: $CI_COMMIT_BRANCH == \"main\", when: manual}]\n",
    )
    .push("main", &[]);
    assert_eq!(case.facts("deploy")["when"], "manual");
}
