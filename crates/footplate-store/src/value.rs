//! Values that are bound and columns that are read, the same for both engines.

use bytes::{BufMut as _, BytesMut};
use footplate_model as model;
use footplate_model::Timestamp;
use rusqlite::types::{ToSqlOutput, Value as LiteValue, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type};

use crate::error::{Error, Result};

/// Microseconds between 1970 and 2000, PostgreSQL's epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An instant.
    Time(Timestamp),
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(LiteValue::Null),
            Self::Int(number) => ToSqlOutput::Owned(LiteValue::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(LiteValue::Real(*number)),
            Self::Bool(flag) => ToSqlOutput::Owned(LiteValue::Integer(i64::from(*flag))),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Time(at) => ToSqlOutput::Owned(LiteValue::Integer(at.as_micros())),
        })
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Int(number), &Type::INT4) => out.put_i32(i32::try_from(*number)?),
            (Self::Int(number), &Type::INT2) => out.put_i16(i16::try_from(*number)?),
            (Self::Int(number), &Type::FLOAT8) => {
                return ToSql::to_sql(&(*number as f64), kind, out);
            }
            (Self::Int(number), _) => out.put_i64(*number),
            (Self::Real(number), _) => out.put_f64(*number),
            (Self::Bool(flag), _) => out.put_u8(u8::from(*flag)),
            (Self::Text(text), _) => out.put_slice(text.as_bytes()),
            (Self::Bytes(bytes), _) => out.put_slice(bytes),
            (Self::Time(at), _) => out.put_i64(at.as_micros() - POSTGRES_EPOCH),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let fits = match self {
            Self::Null => true,
            Self::Int(_) => [Type::INT8, Type::INT4, Type::INT2, Type::FLOAT8].contains(kind),
            Self::Real(_) => *kind == Type::FLOAT8,
            Self::Bool(_) => *kind == Type::BOOL,
            Self::Text(text) => {
                if text.contains('\0') {
                    return Err("text with a null byte".into());
                }
                [Type::TEXT, Type::VARCHAR, Type::UNKNOWN, Type::NAME].contains(kind)
                    || matches!(kind.kind(), Kind::Simple if *kind == Type::BPCHAR)
            }
            Self::Bytes(_) => *kind == Type::BYTEA,
            Self::Time(_) => *kind == Type::TIMESTAMPTZ,
        };
        if !fits {
            return Err(
                format!("a value of another kind was bound to a parameter of type {kind}").into(),
            );
        }
        ToSql::to_sql(self, kind, out)
    }
}

macro_rules! from {
    ($($from:ty => |$value:ident| $make:expr),* $(,)?) => {$(
        impl From<$from> for Value { fn from($value: $from) -> Self { $make } }
    )*};
}

from! {
    i64 => |value| Self::Int(value),
    f64 => |value| Self::Real(value),
    bool => |value| Self::Bool(value),
    &str => |value| Self::Text(value.to_owned()),
    String => |value| Self::Text(value),
    &String => |value| Self::Text(value.clone()),
    Vec<u8> => |value| Self::Bytes(value),
    &[u8] => |value| Self::Bytes(value.to_vec()),
    Timestamp => |value| Self::Time(value),
    model::AccessLevel => |value| Self::Int(value.0),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        value.as_deref().map_or(Self::Null, Into::into)
    }
}

/// One row while it is read.
#[derive(Clone, Copy)]
pub enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of PostgreSQL.
    Postgres(&'r tokio_postgres::Row),
}

impl<'r> Row<'r> {
    /// The column at a position, from 0.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn get<T: Column>(&self, column: usize) -> Result<T> {
        match self {
            Self::Sqlite(row) => {
                T::from_sqlite(row.get_ref(column)?).ok_or_else(|| unexpected::<T>(column))
            }
            Self::Postgres(row) => {
                let raw: Raw<'_> = row.try_get(column)?;
                T::from_postgres(raw.0).ok_or_else(|| unexpected::<T>(column))
            }
        }
    }

    /// Reads columns in order.
    pub fn columns(&self) -> Columns<'r> {
        Columns {
            row: *self,
            next: 0,
        }
    }
}

fn unexpected<T>(column: usize) -> Error {
    Error::Column {
        column,
        message: format!("not a {}", std::any::type_name::<T>()),
    }
}

/// Reads the columns of a row in the order of its statement.
pub struct Columns<'r> {
    row: Row<'r>,
    next: usize,
}

impl Columns<'_> {
    /// The next column.
    ///
    /// # Errors
    /// When it holds something else.
    #[expect(
        clippy::should_implement_trait,
        reason = "the type changes from call to call"
    )]
    pub fn next<T: Column>(&mut self) -> Result<T> {
        let column = self.next;
        self.next += 1;
        self.row.get(column)
    }

    /// The next column, text that holds JSON.
    ///
    /// # Errors
    /// When it is not the JSON of a `T`.
    pub fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let column = self.next;
        let text: String = self.next()?;
        serde_json::from_str(&text).map_err(|error| Error::Column {
            column,
            message: error.to_string(),
        })
    }
}

/// A raw column of PostgreSQL: its type and bytes.
struct Raw<'r>(Option<&'r [u8]>);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }
    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Something that a column can be read as.
pub trait Column: Sized {
    /// From SQLite's value.
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self>;
    /// From PostgreSQL's binary form; `None` is NULL.
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self>;
}

impl Column for i64 {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok()
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        match raw? {
            raw if raw.len() == 8 => raw.try_into().ok().map(i64::from_be_bytes),
            raw if raw.len() == 4 => raw.try_into().ok().map(i32::from_be_bytes).map(i64::from),
            _ => None,
        }
    }
}

impl Column for f64 {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Real(number) => Some(number),
            ValueRef::Integer(number) => Some(number as f64),
            ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => None,
        }
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        raw?.try_into().ok().map(f64::from_be_bytes)
    }
}

impl Column for bool {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok().map(|number| number != 0)
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        raw?.first().map(|byte| *byte != 0)
    }
}

impl Column for String {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_str().ok().map(str::to_owned)
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        std::str::from_utf8(raw?).ok().map(str::to_owned)
    }
}

impl Column for Vec<u8> {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok().map(<[u8]>::to_vec)
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        raw.map(<[u8]>::to_vec)
    }
}

impl Column for Timestamp {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok().map(Self::from_micros)
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        i64::from_postgres(raw).map(|micros| Self::from_micros(micros + POSTGRES_EPOCH))
    }
}

impl Column for model::AccessLevel {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        i64::from_sqlite(value).map(Self)
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        i64::from_postgres(raw).map(Self)
    }
}

impl<T: Column> Column for Option<T> {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        if value == ValueRef::Null {
            Some(None)
        } else {
            T::from_sqlite(value).map(Some)
        }
    }
    fn from_postgres(raw: Option<&[u8]>) -> Option<Self> {
        if raw.is_none() {
            Some(None)
        } else {
            T::from_postgres(raw).map(Some)
        }
    }
}

macro_rules! ids {
    ($($id:ident),* $(,)?) => {$(
        impl Column for model::$id {
            fn from_sqlite(value: ValueRef<'_>) -> Option<Self> { i64::from_sqlite(value).map(Self) }
            fn from_postgres(raw: Option<&[u8]>) -> Option<Self> { i64::from_postgres(raw).map(Self) }
        }
        impl From<model::$id> for Value { fn from(id: model::$id) -> Self { Self::Int(id.0) } }
    )*};
}

ids! {
    UserId, NamespaceId, ProjectId, PipelineId, StageId, JobId, RunnerId, RunnerManagerId, ArtifactId, TokenId, VariableId,
    ResourceGroupId, TaskId, PushIntentId, ProtectedRefId, AgentId, AgentTokenId, EnvironmentId,
}

macro_rules! words {
    ($($word:ident),* $(,)?) => {$(
        impl Column for model::$word {
            fn from_sqlite(value: ValueRef<'_>) -> Option<Self> { value.as_str().ok().and_then(Self::parse) }
            fn from_postgres(raw: Option<&[u8]>) -> Option<Self> { std::str::from_utf8(raw?).ok().and_then(Self::parse) }
        }
        impl From<model::$word> for Value { fn from(word: model::$word) -> Self { Self::Text(word.as_str().to_owned()) } }
    )*};
}

words! {
    Status, JobKind, When, SchedulingType, PipelineSource, PipelineFailureReason, FailureReason, Visibility, RunnerType, RunnerAccessLevel,
    ProcessMode, VariableType, OnJobFailure, OnNewCommit, UserState, TimeoutSource,
}
