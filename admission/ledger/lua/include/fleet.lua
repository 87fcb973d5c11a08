-- What the processes heard agree on, and the beginning of an epoch. See `book.py`.

--@include records

local fleet

--- Return the functions for it. They are made when first used: most requests need none.
local function the_fleet()
  if fleet then
    return fleet
  end
  fleet = {}

  --- Return the settings of a policy's text as an array, in the order in which `state` has them.
  local function parse_policy(text)
    local settings = {}
    for digits in string.gmatch(text, '-?%d+') do
      settings[#settings + 1] = tonumber(digits)
    end
    return settings
  end

  --- Return the time that a new epoch's first reading must begin after: one beat tells all bookings again.
  local function epoch_open_after()
    return state.opened + BEAT_MS + state.lag
  end

  --- Take the stricter of each account-wide setting of the processes heard.
  function fleet.agree()
    local names = redis.call('ZRANGEBYLEX', keys.processes, '[p', '(q')
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

  --- Forget all bookings and seats; nothing is claimed until a reading shows what the fleet has placed.
  function fleet.new_epoch(policy_text)
    redis.call('UNLINK', keys.account, keys.pending, keys.due, keys.processes, keys.line, keys.heads, keys.turns)
    -- Every key keeps a member of its own, '', which is last where the order counts: a key that is missing was lost.
    for _, name in ipairs({'pending', 'due', 'line', 'heads', 'turns'}) do
      redis.call('ZADD', keys[name], '+inf', '')
    end
    redis.call('ZADD', keys.processes, 0, '')
    texts, changes, members = {}, {}, {}
    counted = {pending = 0, held = 0, waiting = 0, offers = 0}
    clock.expires, clock.next_due, clock.last_score = 0, NEVER_MS, 0
    state.epoch = math.max(now, state.epoch + 1)
    state.opened = now
    local settings = parse_policy(policy_text)
    state.refresh, state.staleness, state.lease, state.headroom = unpack(settings, 1, 4)
    state.max_waiting, state.lag, state.duration = unpack(settings, 5, 7)
    state.covers_to = -1
    state.cool_span, state.cool_since, state.cool_after, state.cool_until = 0, -1, -1, 0
    state.open_after = epoch_open_after()
    state.earlier, state.begun, state.reader = -1, -1, ''
    state.reader_until, state.retry_at, state.fails = 0, 0, 0
    state_changed = true
  end

  return fleet
end
