//! Variables of single jobs: given when played, or from a dotenv report.

use footplate_model::{GivenVariable, JobId, VariableType};

use crate::{Keys, Result, Tx, sql};

/// Replaces the manual (`dotenv` false) or dotenv variables of a job.
pub async fn replace(
    tx: &mut Tx<'_>,
    keys: &Keys,
    job: JobId,
    dotenv: bool,
    variables: &[GivenVariable],
) -> Result<()> {
    tx.query(sql!(
        "DELETE FROM job_variables WHERE job_id = $1 AND dotenv = $2"
    ))
    .bind(job)
    .bind(dotenv)
    .execute()
    .await?;
    for variable in variables {
        tx.query(sql!(
            "INSERT INTO job_variables (job_id, key, value, dotenv, variable_type, raw) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (job_id, dotenv, key) DO UPDATE SET value = excluded.value"
        ))
        .bind(job)
        .bind(&variable.key)
        .bind(keys.encrypt(&variable.value)?)
        .bind(dotenv)
        .bind(variable.variable_type)
        .bind(variable.raw)
        .execute()
        .await?;
    }
    Ok(())
}

/// The manual or dotenv variables of a job, in the order in which they came.
pub async fn list(
    tx: &mut Tx<'_>,
    keys: &Keys,
    job: JobId,
    dotenv: bool,
) -> Result<Vec<GivenVariable>> {
    tx.query(sql!("SELECT key, value, variable_type, raw FROM job_variables WHERE job_id = $1 AND dotenv = $2 ORDER BY id"))
        .bind(job)
        .bind(dotenv)
        .all(|row| {
            let sealed: Vec<u8> = row.get(1)?;
            Ok(GivenVariable { key: row.get(0)?, value: keys.decrypt(&sealed)?, variable_type: row.get(2)?, raw: row.get(3)? })
        })
        .await
}

/// A variable of one of several jobs, with its value encrypted.
#[derive(Debug, Clone)]
pub struct OfJob {
    /// The job.
    pub job: JobId,
    /// From a dotenv report; otherwise given when played.
    pub dotenv: bool,
    key: String,
    sealed: Vec<u8>,
    variable_type: VariableType,
    raw: bool,
}

impl OfJob {
    /// The variable with its value.
    ///
    /// # Errors
    /// It was encrypted with another key.
    pub fn open(&self, keys: &Keys) -> Result<GivenVariable> {
        Ok(GivenVariable {
            key: self.key.clone(),
            value: keys.decrypt(&self.sealed)?,
            variable_type: self.variable_type,
            raw: self.raw,
        })
    }
}

/// The variables of several jobs, of both kinds, in the order in which they came; `jobs` is a JSON list.
pub async fn list_of_jobs(tx: &mut Tx<'_>, jobs: &str) -> Result<Vec<OfJob>> {
    tx.query(sql!(
        "SELECT job_id, dotenv, key, value, variable_type, raw FROM job_variables WHERE job_id IN (SELECT CAST(value AS BIGINT) FROM json_each($1)) ORDER BY id"
    ))
    .bind(jobs)
    .all(|row| {
        let mut c = row.columns();
        Ok(OfJob { job: c.next()?, dotenv: c.next()?, key: c.next()?, sealed: c.next()?, variable_type: c.next()?, raw: c.next()? })
    })
    .await
}

/// Gives a new attempt the manual variables of the one before.
pub async fn copy(tx: &mut Tx<'_>, from: JobId, to: JobId) -> Result<()> {
    tx.query(sql!(
        "INSERT INTO job_variables (job_id, key, value, dotenv, variable_type, raw) \
         SELECT $2, key, value, dotenv, variable_type, raw FROM job_variables WHERE job_id = $1 AND dotenv = FALSE ORDER BY id"
    ))
    .bind(from)
    .bind(to)
    .execute()
    .await?;
    Ok(())
}
