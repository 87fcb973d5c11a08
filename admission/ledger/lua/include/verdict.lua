-- What `ask`, `claim`, `refuse` and `withdraw` tell besides their code. See `Verdict` in `wire.py`.

--@include room

--- Return the age of the newest reading, -1 before the first.
local function usage_age()
  return state.t0 >= 0 and now - state.t0 or -1
end

local function verdict(age_ms, ahead)
  -- The estimate: the line ahead times the running mean from one claim to the next.
  local wait = math.max((ahead + 1) * clock.gap, state.retry_at - now)
  if cools() then
    wait = math.max(wait, state.cool_until - now)
  end
  if state.open_after >= state.t0 then
    wait = math.max(wait, state.open_after - now)
  end
  local retry_after = math.max(state.refresh, math.min(wait, RETRY_MAX_MS))
  local reason = state.pause_on == 1 and state.pause_reason or ''
  return {age_ms, ahead, state.limit, in_use(), retry_after, usage_age(), reason, state.error}
end
