-- What `ask`, `claim`, `refuse` and `withdraw` tell besides their code, of a claim `granted` milliseconds ago or a seat
-- of `lane` with `ahead` others before it. See `Verdict` in `replies.py`.
do
--@inline usage_age

  -- The estimate: the line ahead times the running mean from one claim to the next.
  local wait = math.max((ahead + 1) * clock.gap, state.retry_at - now)
  if cools() then
    wait = math.max(wait, state.cool_until - now)
  end
  if state.open_after >= state.t0 then
    wait = math.max(wait, state.open_after - now)
  end
  if state.pace > 0 then
    wait = math.max(wait, math.floor(next_start() / 1000) - now + math.floor(ahead * state.pace / 1000))
  end
  local retry_after = math.max(state.refresh, math.min(wait, RETRY_MAX_MS))
  local terms = lane_of(lane)
  local reason = ''
  if not is_lane(lane) then
    reason = lane_names()
  elseif state.pause_on == 1 then
    reason = state.pause_reason
  elseif terms.paused == 1 then
    reason = terms.reason
  end
  tail = {code, granted, ahead, state.limit, in_use(), retry_after, usage_age, reason, state.error}
end
