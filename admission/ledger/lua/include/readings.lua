-- When the next reading of the provider is due. See `readings.py`.

--@include records

local function due_at()
  if state.reader ~= '' and now < state.reader_until then
    return state.reader_until
  end
  return math.max(state.begun >= 0 and state.begun + state.refresh or 0, state.retry_at, state.t1 + 1)
end
