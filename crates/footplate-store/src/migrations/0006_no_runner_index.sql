-- Nothing asks for executing jobs by their runner.
DROP INDEX running_jobs_runner;
