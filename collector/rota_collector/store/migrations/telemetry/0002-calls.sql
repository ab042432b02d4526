-- How many calls a span stands for (NULL: one), promoted from its attributes.
ALTER TABLE spans ADD COLUMN calls UINTEGER;
UPDATE spans SET calls = TRY_CAST(attributes ->> '$."rota.calls.count"' AS UINTEGER) WHERE contains(attributes, '"rota.calls.count"');
