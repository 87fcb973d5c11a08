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
local headed
local takes_up = learnt >= 0

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

  --- Return a process's first seat without an offer in a lane, as its entry in `line`.
  local function first_seat(owner, lane)
    local found = first_with(keys.processes, 's' .. owner .. '\0' .. lane .. '\0')
    return found and string.sub(found, #owner + 3)
  end

  --- Return a process's first seats without an offer, lane by lane, as their entries in `line`.
  local function first_seats(owner)
    local seats, from, to = {}, '[s' .. owner .. '\0', '(s' .. owner .. '\1'
    while true do
      local found = redis.call('ZRANGEBYLEX', settled(keys.processes), from, to, 'LIMIT', 0, 1)[1]
      if not found then
        return seats
      end
      local entry = string.sub(found, #owner + 3)
      seats[#seats + 1] = entry
      from = '(s' .. owner .. '\0' .. string.match(entry, '^[^%z]*') .. '\1'
    end
  end

  function line.has_parked(owner)
    return first_with(keys.processes, 's' .. owner .. '\0') ~= nil
  end

  local function may_be_offered(member)
    return member.silent == 0 and now >= member.passed_until
  end

  local function stand_first(entry)
    put(keys.lanes, 'h' .. entry)
    local lane = string.match(entry, '^[^%z]*')
    if headed and not headed[lane] then
      headed[lane] = true
      local at = #headed
      while at > 0 and precedes(lane, headed[at], 1) do
        at = at - 1
      end
      table.insert(headed, at + 1, lane)
    end
  end

  local function put_turn(turn, at)
    put(keys.turns, turn, at)
    counted.turns = nil
  end

  local function park(seat, place)
    local owner, entry = place.process, entry_of_seat(seat, place)
    local member = heard(owner)
    if may_be_offered(member) then
      local first = first_seat(owner, place.lane)
      if not first or precedes(entry, first, #place.lane + 2) then
        if first then
          take(keys.lanes, 'h' .. first)
        end
        stand_first(entry)
      end
    elseif member.silent == 0 and not line.has_parked(owner) then
      put_turn('p' .. owner, member.passed_until)
    end
    put(keys.processes, 's' .. owner .. '\0' .. entry)
  end

  local function unpark(seat, place)
    local owner, entry = place.process, entry_of_seat(seat, place)
    local was_first = first_seat(owner, place.lane) == entry
    take(keys.processes, 's' .. owner .. '\0' .. entry)
    local member = heard(owner)
    if may_be_offered(member) then
      local first = was_first and first_seat(owner, place.lane)
      if was_first then
        take(keys.lanes, 'h' .. entry)
      end
      if first then
        stand_first(first)
      end
    elseif member.silent == 0 and not line.has_parked(owner) then
      take(keys.turns, 'p' .. owner)
    end
  end

  --- Open an offer, or (`by` -1) close it.
  local function offer(seat, place, by)
    local entry, lane_entry = 'f' .. place.process .. '\0' .. seat, 'o' .. place.lane .. '\0' .. seat
    if by == 1 then
      put(keys.processes, entry)
      put(keys.lanes, lane_entry)
      put_turn('o' .. seat, now + OFFER_MS)
    else
      take(keys.processes, entry)
      take(keys.lanes, lane_entry)
      take(keys.turns, 'o' .. seat)
    end
    adjust('o' .. place.lane .. '\0', by)
    adjust('offers', by)
  end

  --- Pass a process over, until it is heard and for a span that doubles.
  local function pass_over(owner, member)
    for _, entry in ipairs(first_seats(owner)) do
      take(keys.lanes, 'h' .. entry)
    end
    take(keys.turns, 'p' .. owner)
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
      take(keys.turns, 'p' .. owner)
      for _, entry in ipairs(seats) do
        stand_first(entry)
      end
    elseif member.silent == 0 then
      put_turn('p' .. owner, member.passed_until)
    end
  end

  --- Return a seat's place, nil when nobody waits there.
  function line.place_of(seat)
    local text = read('s' .. seat)
    return text and text ~= '' and UNPACK_SEAT(text) or nil
  end

  --- Return the seats of a process that have an offer, sorted.
  function line.offered_to(owner)
    local seats = redis.call('ZRANGEBYLEX', settled(keys.processes), '[f' .. owner .. '\0', '(f' .. owner .. '\1')
    for index, entry in ipairs(seats) do
      seats[index] = string.sub(entry, #owner + 3)
    end
    return seats
  end

  function line.is_offered(seat)
    return number_of('offers') > 0 and has(keys.turns, 'o' .. seat)
  end

  --- Return how many are likely to be served before a seat.
  function line.position(seat)
    local place = line.place_of(seat)
    local entry = entry_of_seat(seat, place)
    return ahead_of(place.lane, redis.call('ZLEXCOUNT', settled(keys.line), '[' .. place.lane .. '\0', '(' .. entry))
  end

  --- Return the score of a lane's first seat, nil when nobody waits in it.
  function line.first_score(lane)
    local entry = first_with(keys.line, lane .. '\0')
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
    put(keys.line, entry_of_seat(seat, place))
    adjust('waiting', 1)
    adjust('w' .. lane .. '\0', 1)
    park(seat, place)
  end

  local function leave_line(seat, place)
    take(keys.line, entry_of_seat(seat, place))
    adjust('waiting', -1)
    adjust('w' .. place.lane .. '\0', -1)
    write('s' .. seat, false)
  end

  --- Give a seat up, with its offer.
  function line.give_up(seat)
    local place = line.place_of(seat)
    if line.is_offered(seat) then
      offer(seat, place, -1)
    else
      unpark(seat, place)
    end
    leave_line(seat, place)
  end

  --- Withdraw an offer; the seat stays where it is.
  function line.take_back(seat, place)
    offer(seat, place, -1)
    park(seat, place)
  end

  --- Withdraw all offers, or those of a lane.
  function line.withdraw_offers(lane)
    if number_of('offers') > 0 then
      for _, entry in ipairs(redis.call('ZRANGEBYLEX', settled(keys.lanes), '[o', '(p')) do
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
      take(keys.lanes, 'h' .. entry)
    end
    take(keys.turns, 'p' .. owner)
    local seats = line.offered_to(owner)
    for _, seat in ipairs(seats) do
      offer(seat, line.place_of(seat), -1)
    end
    local from, to = '[s' .. owner .. '\0', '(s' .. owner .. '\1'
    for _, parked in ipairs(redis.call('ZRANGEBYLEX', settled(keys.processes), from, to)) do
      take(keys.processes, parked)
      seats[#seats + 1] = parse(parked, string.find(parked, '\0', #owner + 3, true))
    end
    for _, seat in ipairs(seats) do
      leave_line(seat, line.place_of(seat))
    end
  end

  --- Take back what was not claimed in time and pass its processes over; let others back.
  function line.lapse()
    if number_of('turns') == 0 then
      return
    end
    local turns = redis.call('ZRANGEBYSCORE', settled(keys.turns), '-inf', now)
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
        take(keys.turns, turn)
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

  local function head_of(entry)
    local cut = string.find(entry, '\0', 2, true)
    local head = {lane = string.sub(entry, 2, cut - 1)}
    head.seat, head.score = parse(entry, cut)
    head.terms = lane_of(head.lane)
    return head
  end

  --- Return the first seats of all lanes, by name, of those that may be offered a slot.
  local function all_heads()
    if not headed then
      headed = {}
      local from, page = '[h', nil
      repeat
        page = redis.call('ZRANGEBYLEX', settled(keys.lanes), from, '(i', 'LIMIT', 0, most)
        for _, entry in ipairs(page) do
          local lane = string.match(entry, '^h([^%z]*)')
          if not headed[lane] then
            headed[lane] = true
            headed[#headed + 1] = lane
          end
          from = '(h' .. lane .. '\1'
        end
      until #page < most
    end
    local heads = {}
    for _, lane in ipairs(headed) do
      local entry = first_with(keys.lanes, 'h' .. lane .. '\0')
      if entry then
        heads[#heads + 1] = head_of(entry)
      end
    end
    return heads
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
    unpark(seat, place)
    leave_line(seat, place)
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

  --- Take back the offers of the process that speaks, so that it is handed over what was only offered to it.
  local function take_up()
    takes_up = false
    for _, seat in ipairs(number_of('offers') > 0 and line.offered_to(process) or {}) do
      local place = line.place_of(seat)
      if not unfit(place.lane, lane_of(place.lane), place.kind) then
        line.take_back(seat, place)
      end
    end
  end

  --- Offer what is free to the lane whose turn it is.
  function line.serve()
    if takes_up then
      take_up()
    end
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
      -- The reservation of a hold has the name of its seat.
      fetch('s' .. head.seat, 'r' .. head.seat)
      local place = line.place_of(head.seat)
      if starts_left <= 0 then
        -- Only the pace holds it back: let its process learn of `next_at`, once for every start.
        if number_of('offers') == 0 and clock.hinted ~= next_start() then
          clock.hinted = next_start()
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
      local entry = first_with(keys.lanes, 'h' .. head.lane .. '\0')
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
    local paced = math.floor(next_start() / 1000)
    if state.pace > 0 and paced > now and number_of('waiting') > number_of('offers') and free_slots() > 0 then
      at = at > 0 and math.min(at, paced) or paced
    end
    local index = 0
    while number_of('turns') > 0 do
      local turn = redis.call('ZRANGE', settled(keys.turns), index, index, 'WITHSCORES')
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
    return at
  end

  return line
end
