//! Expressions: what `rules:if` and rules of inputs may say.

use footplate_ci::expr::{Expr, ExprError};

#[test]
fn inputs_are_operands_only_in_rules_of_inputs() {
    let text = "$[[ inputs.kind ]] == \"metal\" && $CI_COMMIT_BRANCH";
    assert_eq!(Expr::parse(text), Err(ExprError::UnknownLexeme));
    let expr = Expr::parse_with_inputs(text).unwrap();
    assert_eq!(expr.to_string(), text);
    let value = |name: &str| match name {
        "inputs.kind" => Some("metal".to_owned()),
        "CI_COMMIT_BRANCH" => Some("main".to_owned()),
        _ => None,
    };
    let evaluation = expr.evaluate(value);
    assert!(evaluation.truthful());
    assert_eq!(
        &*evaluation.atoms[0].text,
        "$[[ inputs.kind ]] == \"metal\""
    );
    assert!(!expr.evaluate(|_| None::<String>).truthful());
    for text in [
        "$[[ kind ]]",
        "$[[ inputs. ]]",
        "$[[ inputs.a | upper ]]",
        "$[[ inputs.a",
    ] {
        assert!(Expr::parse_with_inputs(text).is_err(), "{text}");
    }
}

#[test]
fn an_expression_has_at_most_a_hundred_tokens() {
    let chain = |operands: usize| vec!["$A"; operands].join(" && ");
    assert!(Expr::parse(&chain(50)).is_ok());
    assert_eq!(Expr::parse(&chain(51)), Err(ExprError::TooManyTokens));
}

#[test]
fn an_invalid_expression_is_told_with_its_place() {
    let case = crate::Case::new("job:\n  script: ls\n  rules:\n    - if: ${NAME} == \"x\"\n");
    let (message, _, line, _) = case.fault();
    assert_eq!(message, "jobs:job:rules:rule if invalid expression syntax");
    assert_eq!(line, 4);
}
