-- The version of the schema is in the file from here on.
CREATE TABLE schema_version (version INTEGER NOT NULL);
