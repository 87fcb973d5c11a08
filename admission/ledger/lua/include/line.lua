-- The line: who waits, who is offered a slot, and which processes are passed over. See `line.py`.
--
--   line       every seat by score
--   processes  s<process>\0<score><seat> a seat without an offer, f<process>\0<seat> one with an offer
--   heads      the first seat without an offer of each process that is not passed over, by score
--   turns      o<seat> the end of an offer, p<process> the end of a span for which it is passed over,
--              while that alone keeps its seats from being offered a slot
--
-- So the next seat is the first of `heads`, whoever is passed over, and the next turn of time the first of `turns`.

--@include records

local line
local wakes = {}

--- Return the functions of the line. They are made when first used: most requests find nobody waiting.
local function the_line()
  if line then
    return line
  end
  line = {}

  local function seat_entry(owner, score, seat)
    return 's' .. owner .. '\0' .. string.format('%016d', score) .. seat
  end

  local function offer_entry(owner, seat)
    return 'f' .. owner .. '\0' .. seat
  end

  --- Return a process's first seat without an offer, and its score.
  local function first_seat(owner)
    local from, to = '[s' .. owner .. '\0', '(s' .. owner .. '\1'
    local found = redis.call('ZRANGEBYLEX', keys.processes, from, to, 'LIMIT', 0, 1)[1]
    if found then
      local digits = #owner + 3
      return string.sub(found, digits + 16), tonumber(string.sub(found, digits, digits + 15))
    end
  end

  local function may_be_offered(member)
    return member.silent == 0 and now >= member.passed_until
  end

  local function park(seat, owner, score)
    local first, first_score = first_seat(owner)
    redis.call('ZADD', keys.processes, 0, seat_entry(owner, score, seat))
    local member = heard(owner)
    if may_be_offered(member) then
      -- Seats of one score are ordered by the server: Lua orders strings by its locale.
      if first and (score > first_score or (score == first_score and first_seat(owner) ~= seat)) then
        return
      end
      if first then
        redis.call('ZREM', keys.heads, first)
      end
      redis.call('ZADD', keys.heads, score, seat)
    elseif not first and member.silent == 0 then
      redis.call('ZADD', keys.turns, member.passed_until, 'p' .. owner)
    end
  end

  local function unpark(seat, owner, score)
    redis.call('ZREM', keys.processes, seat_entry(owner, score, seat))
    local member = heard(owner)
    if may_be_offered(member) then
      if redis.call('ZREM', keys.heads, seat) == 1 then
        local next_seat, next_score = first_seat(owner)
        if next_seat then
          redis.call('ZADD', keys.heads, next_score, next_seat)
        end
      end
    elseif member.silent == 0 and not first_seat(owner) then
      redis.call('ZREM', keys.turns, 'p' .. owner)
    end
  end

  --- Offer a slot to the first seat of `heads`.
  local function offer(seat, owner, score)
    unpark(seat, owner, score)
    redis.call('ZADD', keys.processes, 0, offer_entry(owner, seat))
    redis.call('ZADD', keys.turns, now + OFFER_MS, 'o' .. seat)
    adjust('offers', 1)
  end

  --- Pass a process over, until it is heard and for a span that doubles.
  local function pass_over(owner, member)
    local seat = first_seat(owner)
    if seat then
      redis.call('ZREM', keys.heads, seat)
      redis.call('ZREM', keys.turns, 'p' .. owner)
    end
    member.silent = 1
    member.span = member.span > 0 and math.min(PASS_MAX_MS, 2 * member.span) or OFFER_MS
    member.passed_until = now + member.span
    write('p' .. owner, PACK_MEMBER(member))
  end

  --- A process is heard again, or the span for which it was passed over has ended or is lifted.
  function line.let_back(owner, member)
    local seat, score = first_seat(owner)
    if seat and may_be_offered(member) then
      redis.call('ZREM', keys.turns, 'p' .. owner)
      redis.call('ZADD', keys.heads, score, seat)
    elseif seat and member.silent == 0 then
      redis.call('ZADD', keys.turns, member.passed_until, 'p' .. owner)
    end
  end

  --- Return a seat's process, nil when nobody waits there.
  function line.owner_of(seat)
    local text = read('s' .. seat)
    if text and text ~= '' then
      local place = UNPACK_SEAT(text)
      return place.process
    end
  end

  function line.has_parked(owner)
    return first_seat(owner) ~= nil
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

  --- Return how many are ahead of a seat.
  function line.position(seat)
    return redis.call('ZRANK', keys.line, seat)
  end

  --- Take a seat.
  function line.enter(seat, lane, score)
    local place = NEW_SEAT
    place.process, place.lane = process, lane
    write('s' .. seat, PACK_SEAT(place))
    redis.call('ZADD', keys.line, score, seat)
    adjust('waiting', 1)
    park(seat, process, score)
  end

  --- Give a seat up, with its offer.
  function line.give_up(seat)
    local owner = line.owner_of(seat)
    if redis.call('ZREM', keys.turns, 'o' .. seat) == 1 then
      redis.call('ZREM', keys.processes, offer_entry(owner, seat))
      adjust('offers', -1)
    else
      unpark(seat, owner, tonumber(redis.call('ZSCORE', keys.line, seat)))
    end
    redis.call('ZREM', keys.line, seat)
    adjust('waiting', -1)
    write('s' .. seat, false)
  end

  --- Withdraw an offer; the seat stays where it is.
  function line.take_back(seat, owner)
    redis.call('ZREM', keys.turns, 'o' .. seat)
    redis.call('ZREM', keys.processes, offer_entry(owner, seat))
    adjust('offers', -1)
    park(seat, owner, tonumber(redis.call('ZSCORE', keys.line, seat)))
  end

  function line.withdraw_offers()
    if number_of('offers') > 0 then
      for _, entry in ipairs(redis.call('ZRANGEBYLEX', keys.processes, '[f', '(g')) do
        local cut = string.find(entry, '\0', 2, true)
        line.take_back(string.sub(entry, cut + 1), string.sub(entry, 2, cut - 1))
      end
    end
  end

  --- Drop every seat of a process.
  function line.forget(owner)
    local head = first_seat(owner)
    if head then
      redis.call('ZREM', keys.heads, head)
      redis.call('ZREM', keys.turns, 'p' .. owner)
    end
    for letter, before_seat in pairs({s = #owner + 18, f = #owner + 2}) do
      local from, to = '[' .. letter .. owner .. '\0', '(' .. letter .. owner .. '\1'
      for _, entry in ipairs(redis.call('ZRANGEBYLEX', keys.processes, from, to)) do
        local seat = string.sub(entry, before_seat + 1)
        redis.call('ZREM', keys.processes, entry)
        redis.call('ZREM', keys.line, seat)
        adjust('waiting', -1)
        write('s' .. seat, false)
        if letter == 'f' then
          redis.call('ZREM', keys.turns, 'o' .. seat)
          adjust('offers', -1)
        end
      end
    end
  end

  --- Take back what was not claimed in time and pass its processes over; let others back.
  function line.lapse()
    local turns = redis.call('ZRANGEBYSCORE', keys.turns, '-inf', now)
    local passed = {}
    for _, turn in ipairs(turns) do
      local owner = string.sub(turn, 1, 1) == 'o' and line.owner_of(string.sub(turn, 2))
      if owner and not passed[owner] then
        passed[owner] = true
        pass_over(owner, heard(owner))
      end
    end
    for _, turn in ipairs(turns) do
      local name = string.sub(turn, 2)
      if string.sub(turn, 1, 1) == 'o' then
        line.take_back(name, line.owner_of(name))
      else
        redis.call('ZREM', keys.turns, turn)
        if not passed[name] then
          line.let_back(name, heard(name))
        end
      end
    end
  end

--@include room
  --- Offer what is free to the head of the line.
  function line.serve()
    if number_of('waiting') == number_of('offers') then
      return
    end
    for _ = 1, room() - number_of('offers') do
      local head = redis.call('ZRANGE', keys.heads, 0, 0, 'WITHSCORES')
      local seat = head[1]
      if seat == '' then
        return
      end
      local owner = line.owner_of(seat)
      offer(seat, owner, tonumber(head[2]))
      wakes[owner] = wakes[owner] or {}
      table.insert(wakes[owner], seat)
    end
  end

  --- Return when time alone will free something for the line, or 0.
  function line.next_at()
    local at = 0
    if state.cool_span > 0 and state.cool_until > now then
      at = state.cool_until
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
