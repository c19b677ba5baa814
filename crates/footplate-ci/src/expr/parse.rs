//! From tokens to a tree, by operator precedence, left associative (`ci-yaml.md §10.2`).

use std::sync::Arc;

use super::{Expr, ExprError, lex::Token};

pub(super) fn parse(tokens: &[Token]) -> Result<Expr, ExprError> {
    let mut reader = Reader { tokens, at: 0 };
    let expr = reader.expression(0)?;
    if reader.at == tokens.len() {
        Ok(expr)
    } else {
        Err(ExprError::Syntax)
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Reader<'_> {
    fn expression(&mut self, least: u8) -> Result<Expr, ExprError> {
        let mut left = self.operand()?;
        while let Some(Token::Operator(operator)) = self.tokens.get(self.at)
            && operator.precedence() >= least
        {
            self.at += 1;
            let right = self.expression(operator.precedence() + 1)?;
            left = Expr::Binary(*operator, Arc::new(left), Arc::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expr, ExprError> {
        let token = self.tokens.get(self.at).ok_or(ExprError::Syntax)?;
        self.at += 1;
        match token {
            Token::Variable(name) => Ok(Expr::Variable(Arc::clone(name))),
            Token::Text(text, _) => Ok(Expr::Text(Arc::clone(text))),
            Token::Pattern(text) => Ok(Expr::Pattern(Arc::clone(text))),
            Token::Input(name) => Ok(Expr::Input(Arc::clone(name))),
            Token::Null => Ok(Expr::Null),
            Token::Open => {
                let inner = self.expression(0)?;
                match self.tokens.get(self.at) {
                    Some(Token::Close) => {
                        self.at += 1;
                        Ok(inner)
                    }
                    _ => Err(ExprError::Syntax),
                }
            }
            Token::Close | Token::Operator(_) => Err(ExprError::Syntax),
        }
    }
}
