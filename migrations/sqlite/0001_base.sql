-- Times are UTC microseconds, ids are the 36 characters of a UUID, JSON is text.
-- `key` is SQLite's own row number: small foreign keys, and the order of arrival.

CREATE TABLE traces (
    key        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    created_at BIGINT  NOT NULL,
    source     TEXT    NOT NULL,
    family     TEXT,
    category   TEXT,
    steps      INTEGER NOT NULL,
    deleted_at BIGINT,
    prompt     TEXT    NOT NULL,
    answer     TEXT    NOT NULL,
    content    TEXT    NOT NULL
);
CREATE INDEX traces_live        ON traces (key)           WHERE deleted_at IS NULL;
CREATE INDEX traces_by_source   ON traces (source, key)   WHERE deleted_at IS NULL;
CREATE INDEX traces_by_family   ON traces (family, key)   WHERE deleted_at IS NULL;
CREATE INDEX traces_by_category ON traces (category, key) WHERE deleted_at IS NULL;

-- How many live traces there are of each kind: counts and facets without a scan. Absent values are ''.
CREATE TABLE trace_counts (
    source   TEXT   NOT NULL,
    family   TEXT   NOT NULL,
    category TEXT   NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (source, family, category)
) WITHOUT ROWID;

CREATE VIRTUAL TABLE trace_words USING fts5 (prompt, answer, content = 'traces', content_rowid = 'key');

CREATE TABLE datasets (
    key          INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    created_at   BIGINT  NOT NULL,
    content_hash TEXT    NOT NULL,
    train_object TEXT    NOT NULL,
    val_object   TEXT    NOT NULL,
    test_object  TEXT    NOT NULL,
    manifest     TEXT    NOT NULL,
    UNIQUE (name, version)
);

-- What tables of runs show comes first; long texts come last, so that a list never reads their pages.
CREATE TABLE runs (
    key               INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL UNIQUE,
    name              TEXT    NOT NULL,
    state             TEXT    NOT NULL,
    reason            TEXT,
    dataset           TEXT    NOT NULL,
    dataset_hash      TEXT    NOT NULL,
    recipe_hash       TEXT    NOT NULL,
    created_at        BIGINT  NOT NULL,
    queued_at         BIGINT  NOT NULL,
    started_at        BIGINT,
    finished_at       BIGINT,
    -- The number of the last attempt; writes with another number are refused.
    fence             INTEGER NOT NULL DEFAULT 0,
    -- Attempts lost since it was created or retried.
    losses            INTEGER NOT NULL DEFAULT 0,
    worker            TEXT,
    lease_until       BIGINT,
    last_seq          BIGINT  NOT NULL DEFAULT 0,
    step              BIGINT  NOT NULL DEFAULT 0,
    step_at           BIGINT,
    steps             BIGINT  NOT NULL,
    -- Where and when the present attempt began, for the time left.
    pace_step         BIGINT,
    pace_at           BIGINT,
    parameters        BIGINT,
    vocab             BIGINT,
    loss              REAL,
    min_loss          REAL,
    max_loss          REAL,
    val_loss          REAL,
    best_val_loss     REAL,
    best_step         BIGINT,
    tokens_per_sec    REAL,
    peak_memory_bytes BIGINT,
    evaluation_items  INTEGER NOT NULL DEFAULT 0,
    evaluated         INTEGER NOT NULL DEFAULT 0,
    strict            INTEGER NOT NULL DEFAULT 0,
    flexible          INTEGER NOT NULL DEFAULT 0,
    extractor         TEXT,
    device            TEXT,
    sparkline         TEXT    NOT NULL DEFAULT '[]',
    estimate          TEXT,
    recipe            TEXT    NOT NULL,
    recipe_yaml       TEXT    NOT NULL
);
CREATE INDEX runs_by_state   ON runs (state, queued_at);
CREATE INDEX runs_by_dataset ON runs (dataset, key);

CREATE TABLE attempts (
    run          INTEGER NOT NULL REFERENCES runs (key),
    number       INTEGER NOT NULL,
    worker       TEXT    NOT NULL,
    started_at   BIGINT  NOT NULL,
    ended_at     BIGINT,
    outcome      TEXT,
    resumed_from BIGINT,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;

-- Points, events and log lines of a run share one sequence, `seq`.
CREATE TABLE points (
    run            INTEGER NOT NULL REFERENCES runs (key),
    step           BIGINT  NOT NULL,
    seq            BIGINT  NOT NULL,
    at             BIGINT  NOT NULL,
    loss           REAL    NOT NULL,
    learning_rate  REAL    NOT NULL,
    grad_norm      REAL    NOT NULL,
    tokens_per_sec REAL    NOT NULL,
    memory_bytes   BIGINT  NOT NULL,
    tokens         BIGINT  NOT NULL,
    PRIMARY KEY (run, step)
) WITHOUT ROWID;
CREATE INDEX points_by_seq ON points (run, seq);

-- The pyramid over points: bucket b of level l covers the steps b·4^l to (b+1)·4^l − 1.
CREATE TABLE point_buckets (
    run                 INTEGER NOT NULL REFERENCES runs (key),
    level               INTEGER NOT NULL,
    bucket              BIGINT  NOT NULL,
    count               BIGINT  NOT NULL,
    last_step           BIGINT  NOT NULL,
    loss                REAL    NOT NULL,
    loss_min            REAL    NOT NULL,
    loss_max            REAL    NOT NULL,
    learning_rate       REAL    NOT NULL,
    learning_rate_min   REAL    NOT NULL,
    learning_rate_max   REAL    NOT NULL,
    grad_norm           REAL    NOT NULL,
    grad_norm_min       REAL    NOT NULL,
    grad_norm_max       REAL    NOT NULL,
    tokens_per_sec      REAL    NOT NULL,
    tokens_per_sec_min  REAL    NOT NULL,
    tokens_per_sec_max  REAL    NOT NULL,
    memory_bytes        REAL    NOT NULL,
    memory_bytes_min    REAL    NOT NULL,
    memory_bytes_max    REAL    NOT NULL,
    PRIMARY KEY (run, level, bucket)
) WITHOUT ROWID;

-- Everything that happens in a run besides points and log lines: status, validation, sample, checkpoint, alarm, progress.
CREATE TABLE run_events (
    run     INTEGER NOT NULL REFERENCES runs (key),
    seq     BIGINT  NOT NULL,
    at      BIGINT  NOT NULL,
    kind    TEXT    NOT NULL,
    step    BIGINT,
    -- The validation loss.
    value   REAL,
    content TEXT    NOT NULL,
    PRIMARY KEY (run, seq)
);
CREATE INDEX run_events_by_kind ON run_events (run, kind, seq);

CREATE TABLE log_lines (
    run       INTEGER NOT NULL REFERENCES runs (key),
    seq       BIGINT  NOT NULL,
    at        BIGINT  NOT NULL,
    stream    TEXT    NOT NULL,
    continued INTEGER NOT NULL,
    chunk     TEXT    NOT NULL,
    PRIMARY KEY (run, seq)
);

CREATE TABLE predictions (
    run      INTEGER NOT NULL REFERENCES runs (key),
    item     INTEGER NOT NULL,
    strict   INTEGER NOT NULL,
    flexible INTEGER NOT NULL,
    content  TEXT    NOT NULL,
    PRIMARY KEY (run, item)
);
CREATE INDEX predictions_by_verdict ON predictions (run, strict, flexible, item);

CREATE TABLE run_files (
    run    INTEGER NOT NULL REFERENCES runs (key),
    name   TEXT    NOT NULL,
    bytes  BIGINT  NOT NULL,
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;

CREATE TABLE workers (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    devices    TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
) WITHOUT ROWID;
