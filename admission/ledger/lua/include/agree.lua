-- Take the stricter of each account-wide setting of the processes heard. See `PolicyWire` in `wire.py`.
do
--@inline policy

  local names = redis.call('ZRANGEBYLEX', settled(keys.processes), '[p', '(q')
  local claimers, onlookers = {}, {}
  for _, name in ipairs(names) do
    local member = heard(string.sub(name, 2))
    local group = string.sub(member.policy, -#ONLOOKER) == ONLOOKER and onlookers or claimers
    group[#group + 1] = parse_policy(member.policy)
  end
  -- Whoever only looks on has no say, unless nobody else is there.
  local policies = #claimers > 0 and claimers or onlookers
  local function strictest(column, stricter)
    local value = policies[1][column]
    for row = 2, #policies do
      value = stricter(value, policies[row][column])
    end
    return value
  end
  local lease = state.lease
  state.refresh = strictest(1, math.max)
  state.staleness = strictest(2, math.min)
  state.lease = strictest(3, math.max)
  state.headroom = strictest(4, math.max)
  state.max_waiting = strictest(5, math.min)
  state.lag = strictest(6, math.max)
  state.duration = strictest(7, math.max)
  state.pace = strictest(8, math.max)
  if state.opened >= 0 then
    state.open_after = math.max(state.open_after, epoch_open_after())
  end
  state_changed = true
  if state.lease ~= lease then
    for _, name in ipairs(names) do
      local member = heard(string.sub(name, 2))
      add_due(name, member.heard + state.lease + 1)
    end
  end
end
