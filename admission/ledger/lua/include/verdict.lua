-- What `ask`, `claim`, `refuse` and `withdraw` tell besides their code. See `Verdict` in `wire.py`.

--- Estimate the wait: the line ahead times the running mean from one claim to the next.
local function retry_after(ahead)
  local wait = math.max((ahead + 1) * clock.gap, state.retry_at - now)
  if cools() then
    wait = math.max(wait, state.cool_until - now)
  end
  if state.open_after >= state.t0 then
    wait = math.max(wait, state.open_after - now)
  end
  return math.max(state.refresh, math.min(wait, RETRY_MAX_MS))
end

local function verdict(age_ms, ahead)
  local reason = state.pause_on == 1 and state.pause_reason or ''
  return {age_ms, ahead, state.limit, in_use(), retry_after(ahead), usage_age(), reason, state.error}
end
