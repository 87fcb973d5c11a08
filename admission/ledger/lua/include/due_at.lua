-- When the next reading of the provider may begin. See `readings.py`.
local due_at = math.max(state.begun >= 0 and state.begun + state.refresh or 0, state.retry_at, state.t1 + 1)
if state.reader ~= '' and now < state.reader_until then
  due_at = state.reader_until
end
