//! Evaluates any expression, one row at a time, by the `cel` crate's own interpreter.
//!
//! A rule that is not plain (see [`crate::fast`]) pays a microsecond or two a pool, and the first
//! of them 50 µs for the environment. Fields are looked up when the interpreter asks for them, by
//! their whole name, so that no map is built per pool.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelInt, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, IdedExpr, Value, extensions};

use crate::column::{Column, Columns};
use crate::field::FieldId;
use crate::types::Type;

/// The interpreter, whose environment is made when it is first needed.
#[derive(Default)]
pub(crate) struct Interpreter {
    env: OnceCell<Arc<Env>>,
}

impl Interpreter {
    /// Evaluates an expression for a row.
    ///
    /// # Errors
    /// What the interpreter says, in its words.
    pub(crate) fn evaluate(
        &self,
        expression: &IdedExpr,
        columns: &Columns<'_>,
        row: usize,
    ) -> Result<Value, ExecutionError> {
        self.resolve(expression, &Row { columns, row })
    }

    /// Evaluates an expression on made-up values of the right types, to find what types cannot
    /// tell.
    ///
    /// # Errors
    /// Only what any other values would come to as well.
    pub(crate) fn try_out(&self, expression: &IdedExpr) -> Result<Option<Value>, ExecutionError> {
        match self.resolve(expression, &Sample) {
            Ok(value) => Ok(Some(value)),
            Err(error) if depends_on_values(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn resolve(
        &self,
        expression: &IdedExpr,
        variables: &dyn VariableResolver,
    ) -> Result<Value, ExecutionError> {
        let mut context = Context::with_env(Arc::clone(self.env.get_or_init(environment)));
        context.set_variable_resolver(variables);
        Value::resolve(expression, &context)
    }
}

/// Makes the environment: CEL's standard functions, `math`, and those on strings.
pub(crate) fn environment() -> Arc<Env> {
    let mut env = Env::stdlib();
    let added = extensions::math(&mut env).and_then(|()| extensions::strings(&mut env));
    added.expect("the extensions declare nothing that the standard library declares");
    Arc::new(env)
}

fn depends_on_values(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::NoSuchKey(_)
            | ExecutionError::DivisionByZero(_)
            | ExecutionError::RemainderByZero(_)
            | ExecutionError::Overflow(..)
            | ExecutionError::IndexOutOfBounds(_)
            | ExecutionError::FunctionError { .. }
    )
}

/// The fields of one row, by their whole names.
struct Row<'a> {
    columns: &'a Columns<'a>,
    row: usize,
}

impl VariableResolver for Row<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let column = self.columns.get(FieldId::named(variable)?)?;
        Some(match column {
            Column::Ints(cells) => CowVal::owned(CelInt::from(*cells.get(self.row)?)),
            Column::Doubles(cells) => CowVal::owned(CelDouble::from(*cells.get(self.row)?)),
            Column::Bools(cells) => CowVal::owned(CelBool::from(*cells.get(self.row)?)),
            Column::Texts(cells) => CowVal::owned(CelString::from(&**cells.get(self.row)?)),
            Column::Labels(labels) => CowVal::owned(map(labels)),
        })
    }
}

fn map(labels: &[(String, String)]) -> CelMap<'_> {
    let entries = labels.iter().map(|(key, value)| {
        let value: Box<dyn Val + '_> = Box::new(CelString::from(value.as_str()));
        (CelMapKey::from(key.as_str()), value)
    });
    CelMap::from(entries.collect::<HashMap<_, _>>())
}

/// Made-up values, one for each type.
struct Sample;

impl VariableResolver for Sample {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        Some(match FieldId::named(variable)?.field().kind() {
            Type::Int => CowVal::owned(CelInt::from(7)),
            Type::Double => CowVal::owned(CelDouble::from(0.5)),
            Type::Bool => CowVal::owned(CelBool::from(true)),
            Type::Text => CowVal::owned(CelString::from("main")),
            Type::Labels => CowVal::owned(map(&[])),
            _ => return None,
        })
    }
}
