-- A wrk script: POST requests whose bodies come from a file of JSON lines, one after the other.
--
--   wrk -t1 -c32 -d10 -s tools/load.lua http://127.0.0.1:7860/predict -- bodies.jsonl [NAME=VALUE …]
--
--   delay=MS             each connection waits before each request, MS on average, exponentially distributed: N connections
--                        then offer about N requests every MS + latency milliseconds, at times that nobody has agreed on
--   header=NAME: VALUE   one more header
--
-- Each thread starts elsewhere in the file, its connections take turns in it. At the end it prints one line of JSON behind
-- wrk's own report: what wrk counted and timed, and the latencies by status. wrk does not tell which answer belongs to which
-- request, so each request carries the time at which it was made as its X-Request-Id; a server that gives it back, as Apus
-- does, has its latencies split by status.

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds, nanoseconds; } apus_time; int clock_gettime(int clock, apus_time *time);")

local MONOTONIC = 1
local now_buffer = ffi.new("apus_time")

local function microseconds()
  ffi.C.clock_gettime(MONOTONIC, now_buffer)
  return tonumber(now_buffer.seconds) * 1e6 + tonumber(now_buffer.nanoseconds) / 1e3
end

-- Set-up, once for each thread

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
  for index, other in ipairs(threads) do other:set("start", (index - 1) / #threads) end
end

-- In a thread

-- "status200 1234" → answers with this status and latency in µs, 0 where it is not known; "infer 1.234" → answers with
-- this duration in their Server-Timing. Global and flat for `done`: wrk hands over tables whose keys are strings, no others.
seen = {}

local heads, bodies = {}, {}
local position
local mean_delay
local names = {}  -- of headers, in lower case → as this server writes them

function init(arguments)
  local headers = { ["Content-Type"] = "application/json" }
  for index = 2, #arguments do
    local name, value = arguments[index]:match("^(%w+)=(.*)$")
    if name == "delay" then
      mean_delay = tonumber(value)
    elseif name == "header" then
      local header, content = value:match("^([^:]+): *(.*)$")
      headers[header] = content
    else
      error("load.lua: " .. arguments[index] .. " is neither delay=MS nor header=NAME: VALUE")
    end
  end
  for line in io.lines(arguments[1]) do
    bodies[#bodies + 1] = line
    local request = wrk.format("POST", nil, headers, line)
    heads[#heads + 1] = request:sub(1, #request - #line - 2) .. "X-Request-Id: "
  end
  if #bodies == 0 then error("load.lua: " .. arguments[1] .. " has no line") end
  position = math.floor(start * #bodies)
  math.randomseed(number + 1)
  if not mean_delay then delay = nil end  -- With a `delay` wrk sets a timer for every request.
end

function delay()
  return math.floor(-mean_delay * math.log(1 - math.random()) + 0.5)
end

function request()
  position = position % #bodies + 1
  return heads[position] .. string.format("%.0f", microseconds()) .. "\r\n\r\n" .. bodies[position]
end

local function header(headers, name)
  if not names[name] then
    for key in pairs(headers) do
      if key:lower() == name then names[name] = key end
    end
  end
  return names[name] and headers[names[name]]
end

local function count(key)
  seen[key] = (seen[key] or 0) + 1
end

function response(status, headers)
  local sent = tonumber(header(headers, "x-request-id"))
  count(string.format("status%d %.0f", status, sent and microseconds() - sent or 0))
  if status == 200 then
    for name, duration in (header(headers, "server-timing") or ""):gmatch("(%w+);dur=([%d.]+)") do
      count(name .. " " .. duration)
    end
  end
end

-- At the end

-- First word of a key → {total, sorted list of {value, count}}.
local function distributions()
  local result = {}
  for _, thread in ipairs(threads) do
    for key, times in pairs(thread:get("seen")) do
      local name, value = key:match("^(%w+) (.+)$")
      local distribution = result[name] or { total = 0 }
      result[name] = distribution
      distribution.total = distribution.total + times
      table.insert(distribution, { value = tonumber(value), times = times })
    end
  end
  for _, distribution in pairs(result) do
    table.sort(distribution, function(a, b) return a.value < b.value end)
  end
  return result
end

local function percentile(distribution, share)
  local remaining = math.max(1, math.ceil(share * distribution.total))
  for _, entry in ipairs(distribution) do
    remaining = remaining - entry.times
    if remaining <= 0 then return entry.value end
  end
end

function done(summary, latency)
  local statuses, timings = {}, {}
  for name, distribution in pairs(distributions()) do
    local status = name:match("^status(%d+)$")
    local p50, p99 = percentile(distribution, 0.5), percentile(distribution, 0.99)
    if status then
      table.insert(statuses, string.format('"%s":{"count":%d,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}', status,
                                           distribution.total, p50 / 1e3, p99 / 1e3,
                                           distribution[#distribution].value / 1e3))
    else
      table.insert(timings, string.format('"%s":%.3f', name, p50))
    end
  end
  local errors = summary.errors
  print(string.format('{"seconds":%.6f,"requests":%d,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,'
                      .. '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d},'
                      .. '"statuses":{%s},"server_timing_p50_ms":{%s}}',
                      summary.duration / 1e6, summary.requests, latency:percentile(50) / 1e3,
                      latency:percentile(99) / 1e3, latency.max / 1e3, errors.connect, errors.read, errors.write,
                      errors.timeout, table.concat(statuses, ","), table.concat(timings, ",")))
end
