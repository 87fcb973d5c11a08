-- What time has made due, from the key `due`:
--
--   u<process>   the end of `max_call_duration` for one of its reservations, or earlier
--   p<process>   the end of its lease, or earlier: hearing it does not move it here, it is looked at and moved when due
--   c<call_id>   the end of our memory of a call
--   t<seat>      the end of a tombstone

if now >= clock.next_due then
--@include review
--@include live

  --- Return entries of `processes`: what a process has of one letter, all or some of it.
  local function entries_of(letter, owner, over_by, limit)
    local from, to = '[' .. letter .. owner .. '\0', '(' .. letter .. owner .. '\1'
    if over_by then
      to = '(' .. letter .. owner .. '\0' .. string.format('%013d', over_by + 1)
    end
    return redis.call('ZRANGEBYLEX', settled(keys.processes), from, to, 'LIMIT', 0, limit or -1)
  end

  --- Return the reservation of an entry, and when it is over.
  local function parse(entry, owner)
    local digits = #owner + 3
    return string.sub(entry, digits + 13), tonumber(string.sub(entry, digits, digits + 12))
  end

  --- Take out what `max_call_duration` is over for; a pending one keeps counting.
  local function lapse_reservations(owner)
    local next_over = NEVER_MS
    for letter in string.gmatch('hol', '.') do
      for _, entry in ipairs(entries_of(letter, owner, now)) do
        local rid = parse(entry, owner)
        local booked = reservation(rid)
        count_gone(booked)
        booked.open, booked.over_at = 0, NONE
        review(rid, booked)
        clock.lapsed = clock.lapsed + 1
      end
    end
    for letter in string.gmatch('hol', '.') do
      local first = entries_of(letter, owner, nil, 1)[1]
      local _, over_at = parse(first or '', owner)
      if over_at and over_at < LAST_MS then
        next_over = math.min(next_over, over_at)
      end
    end
    if next_over < NEVER_MS then
      add_due('u' .. owner, next_over)
    end
    local member = heard(owner)
    if member then
      member.next_over = next_over
      write('p' .. owner, PACK_MEMBER(member))
    end
  end

  --- A process was not heard for `lease_ttl`: forget its seats, and take its holds out of held.
  local function lapse_process(owner)
    the_line().forget(owner)
    members[owner] = false
    write('p' .. owner, false)
    take(keys.processes, 'p' .. owner)
    for letter in string.gmatch('ho', '.') do
      local entries = entries_of(letter, owner)
      for _, entry in ipairs(entries) do
        local rid = parse(entry, owner)
        local booked = reservation(rid)
        count_gone(booked)
        booked.open = 0
        review(rid, booked)
      end
      clock.lapsed = clock.lapsed + (letter == 'h' and #entries or 0)
    end
  end

  local due = redis.call('ZRANGEBYSCORE', settled(keys.due), '-inf', now)
  redis.call('ZREMRANGEBYSCORE', keys.due, '-inf', now)
  local quiet = {}
  for _, entry in ipairs(due) do
    local letter, name = string.sub(entry, 1, 1), string.sub(entry, 2)
    if letter == 'u' then
      lapse_reservations(name)
    elseif letter == 'p' then
      quiet[#quiet + 1] = name
    else
      write((letter == 't' and 's' or letter) .. name, false)
    end
  end
  local lease, lapsed = state.lease, false
  for _, name in ipairs(quiet) do
    local member = heard(name)
    local lapses_at = member.heard + lease + 1
    if lapses_at > now then
      add_due('p' .. name, lapses_at)
    else
      lapse_process(name)
      lapsed = true
    end
  end
  if lapsed then
--@inline agree
  end
  local first = redis.call('ZRANGE', settled(keys.due), 0, 0, 'WITHSCORES')
  clock.next_due = first[1] ~= '' and tonumber(first[2]) or NEVER_MS
end
