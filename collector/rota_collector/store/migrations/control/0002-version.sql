-- The version of the schema is in the file from here on.
CREATE TABLE schema_version (version INTEGER NOT NULL);
-- It holds the workflow too now, so that what a key may read is seen without a look at the rows; it is made anew at the start.
DROP INDEX IF EXISTS runs_listed;
