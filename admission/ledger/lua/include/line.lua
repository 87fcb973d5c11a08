-- The line: who waits, who is offered a slot, and which processes are passed over. See `line.py`.
--
--   line       <lane>\0<score><seat> every seat
--   processes  s<process>\0<lane>\0<score><seat> a seat without an offer, f<process>\0<seat> one with an offer
--   lanes      h<lane>\0<score><seat> the first seat without an offer in a lane of each process that is not passed over
--   turns      o<seat> the end of an offer, p<process> the end of a span for which it is passed over,
--              while that alone keeps its seats from being offered a slot
--
-- So the next seat of a lane is its first h, whoever is passed over, and the next turn of time the first of `turns`.

--@include records
--@include lanes
--@include room
--@include keep

local line
local wakes = {}

--- Return the functions of the line. They are made when first used: most requests find nobody waiting.
local function the_line()
  if line then
    return line
  end
  line = {}

  local function entry_of_seat(seat, place)
    return place.lane .. '\0' .. string.format('%016d', place.score) .. seat
  end

  --- Return the seat and the score of an entry that ends with them, after `cut` characters.
  local function parse(entry, cut)
    return string.sub(entry, cut + 17), tonumber(string.sub(entry, cut + 1, cut + 16))
  end

  --- Return the first entry of a key that begins with `prefix`, a text that ends with a zero.
  local function first_entry(key, prefix)
    local to = '(' .. string.sub(prefix, 1, -2) .. '\1'
    return redis.call('ZRANGEBYLEX', key, '[' .. prefix, to, 'LIMIT', 0, 1)[1]
  end

  --- Return a process's first seat without an offer in a lane, as its entry in `line`.
  local function first_seat(owner, lane)
    local found = first_entry(keys.processes, 's' .. owner .. '\0' .. lane .. '\0')
    return found and string.sub(found, #owner + 3)
  end

  --- Return a process's first seats without an offer, lane by lane, as their entries in `line`.
  local function first_seats(owner)
    local seats, from, to = {}, '[s' .. owner .. '\0', '(s' .. owner .. '\1'
    while true do
      local found = redis.call('ZRANGEBYLEX', keys.processes, from, to, 'LIMIT', 0, 1)[1]
      if not found then
        return seats
      end
      local entry = string.sub(found, #owner + 3)
      seats[#seats + 1] = entry
      from = '(s' .. owner .. '\0' .. string.match(entry, '^[^%z]*') .. '\1'
    end
  end

  function line.has_parked(owner)
    return first_entry(keys.processes, 's' .. owner .. '\0') ~= nil
  end

  local function may_be_offered(member)
    return member.silent == 0 and now >= member.passed_until
  end

  local function park(seat, place)
    local owner, entry = place.process, entry_of_seat(seat, place)
    local member = heard(owner)
    if may_be_offered(member) then
      local first = first_seat(owner, place.lane)
      redis.call('ZADD', keys.processes, 0, 's' .. owner .. '\0' .. entry)
      -- The server compares entries: Lua orders strings by its locale.
      if not first then
        redis.call('ZADD', keys.lanes, 0, 'h' .. entry)
      elseif first_seat(owner, place.lane) == entry then
        redis.call('ZREM', keys.lanes, 'h' .. first)
        redis.call('ZADD', keys.lanes, 0, 'h' .. entry)
      end
      return
    end
    if member.silent == 0 and not line.has_parked(owner) then
      redis.call('ZADD', keys.turns, member.passed_until, 'p' .. owner)
    end
    redis.call('ZADD', keys.processes, 0, 's' .. owner .. '\0' .. entry)
  end

  local function unpark(seat, place)
    local owner, entry = place.process, entry_of_seat(seat, place)
    redis.call('ZREM', keys.processes, 's' .. owner .. '\0' .. entry)
    local member = heard(owner)
    if may_be_offered(member) then
      if redis.call('ZREM', keys.lanes, 'h' .. entry) == 1 then
        local first = first_seat(owner, place.lane)
        if first then
          redis.call('ZADD', keys.lanes, 0, 'h' .. first)
        end
      end
    elseif member.silent == 0 and not line.has_parked(owner) then
      redis.call('ZREM', keys.turns, 'p' .. owner)
    end
  end

  --- Open an offer, or (`by` -1) close it.
  local function offer(seat, place, by)
    local entry, lane_entry = 'f' .. place.process .. '\0' .. seat, 'o' .. place.lane .. '\0' .. seat
    if by == 1 then
      redis.call('ZADD', keys.processes, 0, entry)
      redis.call('ZADD', keys.lanes, 0, lane_entry)
      redis.call('ZADD', keys.turns, now + OFFER_MS, 'o' .. seat)
    else
      redis.call('ZREM', keys.processes, entry)
      redis.call('ZREM', keys.lanes, lane_entry)
      redis.call('ZREM', keys.turns, 'o' .. seat)
    end
    adjust('o' .. place.lane .. '\0', by)
    adjust('offers', by)
  end

  --- Pass a process over, until it is heard and for a span that doubles.
  local function pass_over(owner, member)
    for _, entry in ipairs(first_seats(owner)) do
      redis.call('ZREM', keys.lanes, 'h' .. entry)
    end
    redis.call('ZREM', keys.turns, 'p' .. owner)
    member.silent = 1
    member.span = member.span > 0 and math.min(PASS_MAX_MS, 2 * member.span) or OFFER_MS
    member.passed_until = now + member.span
    write('p' .. owner, PACK_MEMBER(member))
  end

  --- A process is heard again, or the span for which it was passed over has ended or is lifted.
  function line.let_back(owner, member)
    local seats = first_seats(owner)
    if #seats == 0 then
      return
    end
    if may_be_offered(member) then
      redis.call('ZREM', keys.turns, 'p' .. owner)
      for _, entry in ipairs(seats) do
        redis.call('ZADD', keys.lanes, 0, 'h' .. entry)
      end
    elseif member.silent == 0 then
      redis.call('ZADD', keys.turns, member.passed_until, 'p' .. owner)
    end
  end

  --- Return a seat's place, nil when nobody waits there.
  function line.place_of(seat)
    local text = read('s' .. seat)
    return text and text ~= '' and UNPACK_SEAT(text) or nil
  end

  --- Return the seats of a process that have an offer, sorted.
  function line.offered_to(owner)
    local seats = redis.call('ZRANGEBYLEX', keys.processes, '[f' .. owner .. '\0', '(f' .. owner .. '\1')
    for index, entry in ipairs(seats) do
      seats[index] = string.sub(entry, #owner + 3)
    end
    return seats
  end

  function line.is_offered(seat)
    return redis.call('ZSCORE', keys.turns, 'o' .. seat) and true or false
  end

  --- Return how many are likely to be served before a seat.
  function line.position(seat)
    local place = line.place_of(seat)
    local entry = entry_of_seat(seat, place)
    return ahead_of(place.lane, redis.call('ZLEXCOUNT', keys.line, '[' .. place.lane .. '\0', '(' .. entry))
  end

  --- Return the score of a lane's first seat, nil when nobody waits in it.
  function line.first_score(lane)
    local entry = first_entry(keys.line, lane .. '\0')
    if entry then
      local _, score = parse(entry, #lane + 1)
      return score
    end
  end

  --- Take a seat.
  function line.enter(seat, score, rid, lane, kind, timeout_ms, lag_ms, duration_ms)
    local place = NEW_SEAT
    place.process, place.lane, place.score, place.rid = process, lane, score, rid == seat and '' or rid
    place.kind, place.timeout, place.lag, place.duration = kind, timeout_ms, lag_ms, duration_ms
    write('s' .. seat, PACK_SEAT(place))
    redis.call('ZADD', keys.line, 0, entry_of_seat(seat, place))
    adjust('waiting', 1)
    park(seat, place)
  end

  --- Give a seat up, with its offer.
  function line.give_up(seat)
    local place = line.place_of(seat)
    if line.is_offered(seat) then
      offer(seat, place, -1)
    else
      unpark(seat, place)
    end
    redis.call('ZREM', keys.line, entry_of_seat(seat, place))
    adjust('waiting', -1)
    write('s' .. seat, false)
  end

  --- Withdraw an offer; the seat stays where it is.
  function line.take_back(seat, place)
    offer(seat, place, -1)
    park(seat, place)
  end

  --- Withdraw all offers, or those of a lane.
  function line.withdraw_offers(lane)
    if number_of('offers') > 0 then
      for _, entry in ipairs(redis.call('ZRANGEBYLEX', keys.lanes, '[o', '(p')) do
        local cut = string.find(entry, '\0', 2, true)
        if not lane or lane == string.sub(entry, 2, cut - 1) then
          local seat = string.sub(entry, cut + 1)
          line.take_back(seat, line.place_of(seat))
        end
      end
    end
  end

  --- Drop every seat of a process.
  function line.forget(owner)
    for _, entry in ipairs(first_seats(owner)) do
      redis.call('ZREM', keys.lanes, 'h' .. entry)
    end
    redis.call('ZREM', keys.turns, 'p' .. owner)
    local seats = line.offered_to(owner)
    for _, seat in ipairs(seats) do
      offer(seat, line.place_of(seat), -1)
    end
    for _, parked in ipairs(redis.call('ZRANGEBYLEX', keys.processes, '[s' .. owner .. '\0', '(s' .. owner .. '\1')) do
      redis.call('ZREM', keys.processes, parked)
      seats[#seats + 1] = parse(parked, string.find(parked, '\0', #owner + 3, true))
    end
    for _, seat in ipairs(seats) do
      redis.call('ZREM', keys.line, entry_of_seat(seat, line.place_of(seat)))
      adjust('waiting', -1)
      write('s' .. seat, false)
    end
  end

  --- Take back what was not claimed in time and pass its processes over; let others back.
  function line.lapse()
    local turns = redis.call('ZRANGEBYSCORE', keys.turns, '-inf', now)
    local passed = {}
    for _, turn in ipairs(turns) do
      local place = string.sub(turn, 1, 1) == 'o' and line.place_of(string.sub(turn, 2))
      if place and not passed[place.process] then
        passed[place.process] = true
        pass_over(place.process, heard(place.process))
      end
    end
    for _, turn in ipairs(turns) do
      local name = string.sub(turn, 2)
      if string.sub(turn, 1, 1) == 'o' then
        line.take_back(name, line.place_of(name))
      else
        redis.call('ZREM', keys.turns, turn)
        if not passed[name] then
          line.let_back(name, heard(name))
        end
      end
    end
  end

  local function wake(owner, seat)
    wakes[owner] = wakes[owner] or {}
    table.insert(wakes[owner], seat)
  end

  --- Return a lane's first seat that may be offered a slot, nil when there is none.
  local function head_of(entry)
    local cut = string.find(entry, '\0', 2, true)
    local head = {lane = string.sub(entry, 2, cut - 1)}
    head.seat, head.score = parse(entry, cut)
    head.terms = lane_of(head.lane)
    return head
  end

  --- Return the heads of all lanes, by name.
  local function all_heads()
    local heads, from = {}, '[h'
    while true do
      local entry = redis.call('ZRANGEBYLEX', keys.lanes, from, '(i', 'LIMIT', 0, 1)[1]
      if not entry then
        return heads
      end
      local head = head_of(entry)
      heads[#heads + 1] = head
      from = '(h' .. head.lane .. '\1'
    end
  end

  --- Return the place in `heads` of the lane whose turn it is where `free` slots are free.
  local function next_of(heads, free)
    local first
    for index, head in ipairs(heads) do
      local lane, terms = head.lane, head.terms
      local offers = number_in('o', lane)
      if may_go(lane, terms, free, offers) then
        local level = level_of(terms, now - math.floor(head.score / SCORES_PER_MS))
        local turn = {level, start_of(terms, level) + offers * cost_of(terms), head.score, index}
        local earlier = not first
        for place = 1, first and 3 or 0 do
          if turn[place] ~= first[place] then
            earlier = turn[place] < first[place]
            break
          end
        end
        first = earlier and turn or first
      end
    end
    return first and first[4]
  end

  --- Claim for a waiter of the process that speaks: it is surely there, and hears of it in its reply.
  local function hand_over(seat, place)
    local rid, lane = place.rid == '' and seat or place.rid, place.lane
    local kind, timeout_ms, lag_ms, duration_ms = place.kind, place.timeout, place.lag, place.duration
    local claimed = now
    line.give_up(seat)
    local kept = reservation(rid)
    if kept then
      claimed = kept.claimed
    else
      local waited_ms = now - math.floor(place.score / SCORES_PER_MS)
--@inline claim
    end
    me.span = 0
    me.handed_at = math.max(now, me.handed_at + 1)
    me.handed = me.handed .. string.format('%d %s %s %d\n', me.handed_at, seat, rid, claimed)
  end

  --- Offer what is free to the lane whose turn it is.
  function line.serve()
    if number_of('waiting') == number_of('offers') then
      return
    end
    local free, starts_left = free_slots() - number_of('offers'), starts() - number_of('offers')
    local heads = free > 0 and all_heads()
    while free > 0 do
      local index = next_of(heads, free)
      if not index then
        return
      end
      local head = heads[index]
      local place = line.place_of(head.seat)
      if starts_left <= 0 then
        -- Only the pace holds it back: let its process learn of `next_at`, once for every start.
        if number_of('offers') == 0 and clock.hinted ~= clock.paced_until then
          clock.hinted = clock.paced_until
          wake(place.process, head.seat)
        end
        return
      end
      if learnt >= 0 and place.process == process and not unfit(place.lane, head.terms, place.kind) then
        hand_over(head.seat, place)
      else
        unpark(head.seat, place)
        offer(head.seat, place, 1)
        wake(place.process, head.seat)
      end
      free, starts_left = free - 1, starts_left - 1
      local entry = first_entry(keys.lanes, 'h' .. head.lane .. '\0')
      if entry then
        heads[index] = head_of(entry)
      else
        table.remove(heads, index)
      end
    end
  end

  --- Return when time alone will free something for the line, or 0.
  function line.next_at()
    local at = 0
    if state.cool_span > 0 and state.cool_until > now then
      at = state.cool_until
    end
    local paced = math.floor(clock.paced_until / 1000)
    if state.pace > 0 and paced > now and number_of('waiting') > number_of('offers') and free_slots() > 0 then
      at = at > 0 and math.min(at, paced) or paced
    end
    local index = 0
    while true do
      local turn = redis.call('ZRANGE', keys.turns, index, index, 'WITHSCORES')
      if turn[1] == '' then
        return at
      end
      local turn_at = tonumber(turn[2])
      -- A foreign request runs nothing that is due: spans that are over may still stand here.
      if turn_at > now or string.sub(turn[1], 1, 1) == 'o' then
        return at > 0 and math.min(at, turn_at) or turn_at
      end
      index = index + 1
    end
  end

  return line
end
