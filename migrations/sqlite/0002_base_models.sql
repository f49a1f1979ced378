-- Models that were trained elsewhere, to be fine-tuned. Their files are objects; `about` is JSON and names them.
CREATE TABLE base_models (
    key        INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at BIGINT  NOT NULL,
    about      TEXT    NOT NULL
);
