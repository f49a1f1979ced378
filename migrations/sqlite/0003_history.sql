-- A trace's content may begin with earlier turns. Their SHA-256 tells apart what the same prompt asks after other turns; NULL
-- when there are none. What was said stands in `content` alone.
ALTER TABLE traces ADD COLUMN history TEXT;
