"""Pure decisions about schedules, slots, expectations and incidents: take facts and a clock's reading, do no I/O."""
