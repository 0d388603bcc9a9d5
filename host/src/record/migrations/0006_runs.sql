-- Which start of the sidecar wrote a transition: a later start's come after an earlier one's, also when
-- the clock ran ahead in between.
ALTER TABLE transitions ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
