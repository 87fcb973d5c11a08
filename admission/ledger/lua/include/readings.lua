-- The newest reading of the provider, and when the next one is due. See `readings.py`.

--- Say whether the newest reading admits.
local function is_usable()
  return state.t0 > state.open_after and state.t0 >= 0 and now - state.t0 <= state.staleness
end

--- Return the age of the newest reading, -1 before the first.
local function usage_age()
  return state.t0 >= 0 and now - state.t0 or -1
end

--- Return when the next attempt may begin.
local function due_at()
  if state.reader ~= '' and now < state.reader_until then
    return state.reader_until
  end
  return math.max(state.begun >= 0 and state.begun + state.refresh or 0, state.retry_at, state.t1 + 1)
end
