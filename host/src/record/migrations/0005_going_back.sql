-- A change that did harm and is not taken back yet, so that a restart goes on with that.
ALTER TABLE effect_states ADD COLUMN harmful BLOB;    -- the decision
ALTER TABLE effect_states ADD COLUMN back_to INTEGER; -- the size to go back to
