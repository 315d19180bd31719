COPY events TO '/tmp/trail.csv' -- 403 statement_does_not_only_read
COPY (SELECT * FROM events) TO 's3://elsewhere/trail' STORED AS PARQUET -- 403 statement_does_not_only_read
EXPLAIN COPY events TO '/tmp/trail.csv' -- 403 statement_does_not_only_read
EXPLAIN ANALYZE INSERT INTO events SELECT * FROM events -- 403 statement_does_not_only_read
CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd' -- 403 statement_does_not_only_read
CREATE UNBOUNDED EXTERNAL TABLE passwd (a TEXT) STORED AS CSV LOCATION 'http://localhost/x' -- 403 statement_does_not_only_read
CREATE TABLE mine AS SELECT * FROM events -- 403 statement_does_not_only_read
CREATE VIEW events AS SELECT 1 -- 403 statement_does_not_only_read
CREATE OR REPLACE VIEW nodes AS SELECT 1 -- 403 statement_does_not_only_read
CREATE SCHEMA mine -- 403 statement_does_not_only_read
CREATE DATABASE mine -- 403 statement_does_not_only_read
CREATE FUNCTION f(INT) RETURNS INT RETURN $1 -- 403 statement_does_not_only_read
CREATE INDEX i ON events (kind) -- 403 statement_does_not_only_read
DROP TABLE events -- 403 statement_does_not_only_read
DROP VIEW nodes -- 403 statement_does_not_only_read
DROP SCHEMA public CASCADE -- 403 statement_does_not_only_read
INSERT INTO events VALUES (1) -- 403 statement_does_not_only_read
INSERT INTO events SELECT * FROM events -- 403 statement_does_not_only_read
UPDATE events SET actor = 'nobody' -- 403 statement_does_not_only_read
DELETE FROM events -- 403 statement_does_not_only_read
TRUNCATE TABLE events -- 403 statement_does_not_only_read
MERGE INTO events USING nodes ON false WHEN NOT MATCHED THEN INSERT VALUES (1) -- 403 statement_does_not_only_read
SET datafusion.execution.batch_size = 1 -- 403 statement_does_not_only_read
SET TIME ZONE = '+01:00' -- 403 statement_does_not_only_read
RESET datafusion.execution.batch_size -- 403 statement_does_not_only_read
SHOW ALL -- 403 statement_does_not_only_read
BEGIN -- 403 statement_does_not_only_read
COMMIT -- 403 statement_does_not_only_read
PREPARE p AS SELECT 1 -- 403 statement_does_not_only_read
EXECUTE p -- 403 statement_does_not_only_read
DEALLOCATE p -- 403 statement_does_not_only_read
ANALYZE TABLE events -- 403 statement_does_not_only_read
GRANT SELECT ON events TO eve -- 403 statement_does_not_only_read
USE information_schema -- 403 statement_does_not_only_read
KILL QUERY 1 -- 403 statement_does_not_only_read
SELECT 1; DROP TABLE events -- 400 several_statements
SELECT 1; SELECT 2 -- 400 several_statements
SELECT * FROM '/etc/passwd' -- 400 statement_does_not_plan
SELECT * FROM 'file:///etc/passwd' -- 400 statement_does_not_plan
SELECT * FROM "/etc/passwd" -- 400 statement_does_not_plan
SELECT * FROM 's3://bucket/object.parquet' -- 400 statement_does_not_plan
SELECT * FROM 'http://169.254.169.254/latest/meta-data' -- 400 statement_does_not_plan
SELECT * FROM read_csv('/etc/passwd') -- 400 statement_does_not_plan
SELECT * FROM read_parquet('/etc/passwd') -- 400 statement_does_not_plan
SELECT * FROM parquet_metadata('/etc/passwd') -- 400 statement_does_not_plan
SELECT * FROM glob('/etc/*') -- 400 statement_does_not_plan
SELECT pg_read_file('/etc/passwd') -- 400 statement_does_not_plan
SELECT load_extension('/tmp/x.so') -- 400 statement_does_not_plan
SELECT getenv('HOME') -- 400 statement_does_not_plan
SELECT repeat('x', 2000000000) -- 400 statement_does_not_plan
SELECT lpad('x', 2000000000, 'y') -- 400 statement_does_not_plan
SELECT range(0, 1000000000) -- 400 statement_does_not_plan
SELECT generate_series(0, 1000000000) -- 400 statement_does_not_plan
SELECT array_repeat(1, 1000000000) -- 400 statement_does_not_plan
SELECT array_resize([1], 1000000000) -- 400 statement_does_not_plan
SELECT * FROM events INTO OUTFILE '/tmp/trail' -- 400 statement_does_not_parse
SELECT * INTO mine FROM events -- 403 statement_does_not_only_read
WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x -- 400 statement_does_not_plan
SELECT nothing_like_it FROM events -- 400 statement_does_not_plan
SELECT * FROM nowhere -- 400 statement_does_not_plan
SELECT -- 400 statement_does_not_parse
SELECT 'open -- 400 statement_does_not_parse
SELECT 1/0 -- 422 statement_failed_on_a_value
SELECT CAST('x' AS INT) -- 422 statement_failed_on_a_value
