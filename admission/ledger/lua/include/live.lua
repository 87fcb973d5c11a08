-- Live calls, and how many have gone. See `visibility.py`.

--- Say whether its holder says that its call is live.
local function is_live(booked)
  return booked.kind == HOLD and booked.open == 1 and booked.placed == 1
end

--- Note that a reservation is left, ended or lapsed.
local function count_gone(booked)
  if is_live(booked) then
    clock.gone = clock.gone + 1
  end
end
