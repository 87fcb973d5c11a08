-- What may be claimed, and what a request has to tell. See `book.py`.

local SETTINGS = {'refresh', 'staleness', 'lease', 'headroom', 'max_waiting', 'lag', 'duration'}

local function parse_policy(text)
  local policy, index = {}, 0
  for digits in string.gmatch(text, '-?%d+') do
    index = index + 1
    policy[SETTINGS[index]] = tonumber(digits)
  end
  return policy
end

local function policy_text()
  local numbers = {}
  for index, setting in ipairs(SETTINGS) do
    numbers[index] = string.format('%.0f', state[setting])
  end
  return table.concat(numbers, ',')
end

--- Return the time that a new epoch's first reading must begin after: one beat tells all bookings again.
local function epoch_open_after()
  return state.opened + BEAT_MS + state.lag
end

--- Take the stricter of each account-wide setting of the processes heard.
local function agree()
  local names = call('ZRANGEBYLEX', processes_key, '[p', '(q')
  local lease = state.lease
  local agreed
  for _, name in ipairs(names) do
    local policy = parse_policy(member(string.sub(name, 2)).policy)
    if agreed then
      for _, setting in ipairs(SETTINGS) do
        local stricter = (setting == 'staleness' or setting == 'max_waiting') and math.min or math.max
        agreed[setting] = stricter(agreed[setting], policy[setting])
      end
    else
      agreed = policy
    end
  end
  for setting, value in pairs(agreed) do
    state[setting] = value
  end
  if state.opened >= 0 then
    state.open_after = math.max(state.open_after, epoch_open_after())
  end
  state.changed = true
  if state.lease ~= lease then
    for _, name in ipairs(names) do
      call('ZADD', due_key, member(string.sub(name, 2)).heard + state.lease + 1, name)
    end
  end
end

--- Forget all bookings and seats; nothing is claimed until a reading shows what the fleet has placed.
local function new_epoch(policy)
  call('UNLINK', account_key, pending_key, due_key, processes_key, line_key, heads_key, turns_key)
  -- Every key keeps a member of its own, '', which is last in its order: so a key that is missing was lost.
  for _, key in ipairs({pending_key, due_key, line_key, heads_key, turns_key}) do
    call('ZADD', key, '+inf', '')
  end
  call('ZADD', processes_key, 0, '')
  texts, changes, members = {}, {}, {}
  counted = {pending = 0, held = 0, waiting = 0, offers = 0}
  state.epoch = math.max(now, state.epoch + 1)
  state.opened = now
  for setting, value in pairs(parse_policy(policy)) do
    state[setting] = value
  end
  clock.last_score = 0
  clock.expires = 0
  state.cool_span, state.cool_since, state.cool_after, state.cool_until = 0, -1, -1, 0
  state.open_after = epoch_open_after()
  state.earlier, state.begun, state.reader = -1, -1, ''
  state.reader_until, state.retry_at, state.fails = 0, 0, 0
  state.changed = true
end

local function cools()
  return state.cool_span > 0 and (now < state.cool_until or state.t0 <= state.cool_after)
end

--- Say why nothing may be claimed, if so.
local function closed()
  if state.pause_on == 1 then
    return PAUSED
  end
  if not is_usable() then
    return UNREAD
  end
  return cools() and SATURATED or nil
end

local function in_use()
  return math.max(0, state.count, count_held()) + count_pending()
end

--- Return how many slots may be claimed now.
local function room()
  return closed() and 0 or math.max(0, state.limit - state.headroom - in_use())
end

local wakes = {}

--- Offer what is free to the head of the line.
local function serve()
  if count_waiting() == count_offers() then
    return
  end
  for _ = 1, room() - count_offers() do
    local head = call('ZRANGE', heads_key, 0, 0, 'WITHSCORES')
    local seat = head[1]
    if seat == '' then
      return
    end
    local process = process_of(seat)
    offer(seat, process, tonumber(head[2]))
    wakes[process] = wakes[process] or {}
    table.insert(wakes[process], seat)
  end
end

--- Return when time alone will free something for the line, or 0.
local function next_at()
  if count_waiting() == 0 then
    return 0
  end
  local turn = next_turn()
  if state.cool_span > 0 and state.cool_until > now and (turn == 0 or state.cool_until < turn) then
    return state.cool_until
  end
  return turn
end

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

--- Return the age of the newest reading, -1 before the first.
local function usage_age()
  return state.t0 >= 0 and now - state.t0 or -1
end

local function verdict(age, ahead)
  local reason = state.pause_on == 1 and state.pause_reason or ''
  return {age, ahead, state.limit, in_use(), retry_after(ahead), usage_age(), reason, state.error}
end

local function set_pause(at, on, reason)
  state.pause_at, state.pause_on, state.pause_reason = at, on, reason
  state.changed = true
  if on == 1 then
    withdraw_offers()
  end
end

--- Book a claim: if its call is placed at all, it is placed within the placement timeout.
local function book(rid, lane, kind, timeout, lag, duration)
  local booked = new_reservation(process, lane, kind, now, timeout, lag)
  booked.open = 1
  booked.settle = now + timeout + lag
  booked.over_at = now + duration
  keep(rid, booked)
  if clock.claimed ~= 0 then
    clock.gap = clock.gap + math.floor((math.min(now - clock.claimed, RETRY_MAX_MS) - clock.gap) / 8)
  end
  clock.claimed = now
end
