-- ask: claim a slot at once, or take a seat in the line. A newcomer goes first only where nobody who may go stands in
-- line.
--
-- ARGV[1]     seat           text
-- ARGV[2]     rid            text
-- ARGV[3]     lane           text
-- ARGV[4]     kind           Kind
-- ARGV[5]     timeout_ms     ms
-- ARGV[6]     lag_ms         ms
-- ARGV[7]     duration_ms    ms
-- ARGV[8]     join           0 or 1: take a seat when nothing is free
-- ARGV[9]     waited_ms      ms waited before, as in an epoch that is gone
-- returns     code age_ms position limit in_use retry_after_ms usage_age_ms pause_reason error
-- writes      books the reservation, or enters the seat in the line
-- atomicity   all or nothing; sent again it finds its claim or its seat, and takes no second one

local seat, rid, lane, kind, timeout_ms, lag_ms, duration_ms, join, waited_ms = unpack(ARGV, first, last)
kind, timeout_ms, lag_ms = tonumber(kind), tonumber(timeout_ms), tonumber(lag_ms)
duration_ms, join, waited_ms = tonumber(duration_ms), tonumber(join), tonumber(waited_ms)

--@include keep
--@include room

me.asked = now
if number_of('waiting') > 0 then
  the_line().serve()
end
local known, booked, terms = read('s' .. seat), reservation(rid), lane_of(lane)
local granted, ahead = 0, nil
if known == '' then
  code = WITHDRAWN
elseif booked then
  code, granted, ahead = GRANTED, now - booked.claimed, 0
elseif known then
  code, ahead = IN_LINE, the_line().position(seat)
else
  local offers = number_of('offers')
  local wrong = unfit(lane, terms, kind)
  if wrong then
    code = wrong
  elseif starts() > offers and may_go(lane, terms, free_slots() - offers, number_in('o', lane)) then
--@inline claim
    code, ahead = GRANTED, 0
  elseif join == 0 then
    code = closed(terms) or SATURATED
  elseif number_of('waiting') >= state.max_waiting then
    code = FULL
  else
    local score = (now - waited_ms) * SCORES_PER_MS
    if waited_ms == 0 then
      score = math.max(clock.last_score + 1, score)
      clock.last_score = score
    end
    local rank = waiting_in(lane)
    the_line().enter(seat, score, rid, lane, kind, timeout_ms, lag_ms, duration_ms)
    code, ahead = IN_LINE, waited_ms == 0 and ahead_of(lane, rank) or the_line().position(seat)
  end
end
ahead = ahead or ahead_of(lane, waiting_in(lane))

--@inline verdict
