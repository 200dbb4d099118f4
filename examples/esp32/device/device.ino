// A device for the ESP32: a sensor that joins Talkwire. Arduino core 3 (ESP-IDF 5): esp-mqtt and cJSON are part of it,
// nothing else is needed. Set the names below; for TLS give an mqtts:// address and set `verification` in setup().

#include <Arduino.h>
#include <WiFi.h>
#include <cJSON.h>
#include <esp_random.h>
#include <mqtt_client.h>
#include <sys/time.h>

#include <deque>
#include <map>
#include <mutex>
#include <string>

#ifndef WIFI_NAME
#define WIFI_NAME "your-wifi"
#define WIFI_PASSWORD "your-password"
#define BROKER_URI "mqtt://192.168.1.10:1883"
#define BROKER_NAME ""             // the device's name and password at the broker, when it asks for them
#define BROKER_PASSWORD ""
#define PLACE "home/living"        // tenant/site
#define DEVICE_ID "0200000000ac"   // the MAC address: 12 lower-case hex digits
#define STATE_EVERY_MS 300000
#endif

struct Command {
  std::string id, op;
  cJSON *args;
};

// A result, or an error: a stable code and one sentence.
struct Outcome {
  cJSON *result;
  std::string code, message;
};

static esp_mqtt_client_handle_t client;
static std::string base;
static std::mutex lock;                            // the MQTT task takes commands, loop() runs them
static std::deque<Command> waiting;
static std::map<std::string, std::string> answers; // command id → its answer; empty while it runs
static std::deque<std::string> order;
static uint64_t busy_us, last_command_ms;
static uint32_t wait_ms = 1000, reconnect_at;
static bool lost, online;

static uint64_t now_ms() {
  timeval now;
  gettimeofday(&now, nullptr);
  return now.tv_sec * 1000ULL + now.tv_usec / 1000;
}

// --- saying something

static std::string stamped(const char *family, cJSON *body) {
  cJSON_AddStringToObject(body, "schema", (std::string(family) + "/1.0").c_str());
  cJSON_AddNumberToObject(body, "ts", now_ms());
  char *text = cJSON_PrintUnformatted(body);
  std::string message = text;
  cJSON_free(text);
  cJSON_Delete(body);
  return message;
}

// What has QoS 1 stays in esp-mqtt's outbox until it is acknowledged. `enqueue` never waits for the network.
static void say(const std::string &tail, const std::string &message, int qos = 1, bool retain = false) {
  esp_mqtt_client_enqueue(client, (base + tail).c_str(), message.c_str(), message.size(), qos, retain, true);
}

static void telemetry(const char *metric, double value, const char *unit) {
  if (!online) return;  // an old figure is of no use
  cJSON *body = cJSON_CreateObject();
  cJSON_AddNumberToObject(body, "value", value);
  cJSON_AddStringToObject(body, "unit", unit);
  say(std::string("telemetry/") + metric, stamped((std::string("telemetry.") + metric).c_str(), body), 0);
}

static void event(const char *name, cJSON *data) {
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "device_id", DEVICE_ID);
  cJSON_AddStringToObject(body, "event_type", name);
  cJSON_AddItemToObject(body, "data", data);
  say(std::string("evt/") + name, stamped((std::string("evt.") + name).c_str(), body));
}

static void presence(const char *status) {
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "status", status);
  say("lwt", stamped("lwt", body), 1, true);
}

// --- what the device knows

static double temperature() { return 21 + (esp_random() % 100) / 100.0; }

// The share of the time in which loop() had something to do, and of the heap that is taken.
static cJSON *status() {
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "health", "ok");
  cJSON_AddNumberToObject(body, "uptime_s", millis() / 1000.0);
  cJSON_AddNumberToObject(body, "cpu_usage", busy_us / 10.0 / (millis() + 1));
  cJSON_AddNumberToObject(body, "memory_usage", 100.0 * (ESP.getHeapSize() - ESP.getFreeHeap()) / ESP.getHeapSize());
  cJSON_AddStringToObject(body, "connection_status", "connected");
  cJSON_AddNumberToObject(body, "last_command_ts", last_command_ms);
  return body;
}

static cJSON *capabilities() {
  cJSON *body = cJSON_CreateObject(), *tools = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "device_type", "sensor");
  for (const char *op : {"device.status", "device.get_capabilities", "sensor.read", "batch.execute"}) {
    cJSON *tool = cJSON_CreateObject();
    cJSON_AddBoolToObject(tool, "supported", true);
    cJSON_AddItemToObject(tools, op, tool);
  }
  cJSON_AddItemToObject(body, "tools", tools);
  return body;
}

static void tell_state() { say("state", stamped("state", status()), 1, true); }

static void greet() {
  presence("online");
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "device_id", DEVICE_ID);
  cJSON_AddStringToObject(body, "device_type", "sensor");
  cJSON_AddStringToObject(body, "manufacturer", "Example");
  cJSON_AddStringToObject(body, "model", "esp32-sensor");
  cJSON_AddStringToObject(body, "firmware_version", "1.0.0");
  cJSON_AddStringToObject(body, "mac_address", DEVICE_ID);
  cJSON_AddItemToObject(body, "capabilities", capabilities());
  say("attr", stamped("attr", body), 1, true);
  tell_state();
}

// --- commands

static Outcome wrong(const char *code, const std::string &message) { return {nullptr, code, message}; }

static Outcome run(const std::string &op, const cJSON *args, bool inside = false);

static Outcome read_sensor(const cJSON *args) {
  const cJSON *samples = cJSON_GetObjectItemCaseSensitive(args, "samples");
  if (samples && (!cJSON_IsNumber(samples) || samples->valuedouble != samples->valueint || samples->valueint < 1 || samples->valueint > 10)) {
    return wrong("E_INVALID_ARGS", "args.samples must be a whole number from 1 to 10");
  }
  cJSON *list = cJSON_CreateArray(), *result = cJSON_CreateObject();
  for (int n = samples ? samples->valueint : 1; n > 0; n--) cJSON_AddItemToArray(list, cJSON_CreateNumber(temperature()));
  cJSON_AddItemToObject(result, "temperature_c", list);
  return {result, "", ""};
}

static cJSON *error_of(const Outcome &outcome) {
  cJSON *error = cJSON_CreateObject();
  cJSON_AddStringToObject(error, "code", outcome.code.c_str());
  cJSON_AddStringToObject(error, "message", outcome.message.c_str());
  return error;
}

static Outcome batch(const cJSON *args) {
  const cJSON *commands = cJSON_GetObjectItemCaseSensitive(args, "commands");
  if (!cJSON_IsArray(commands) || cJSON_GetArraySize(commands) < 1 || cJSON_GetArraySize(commands) > 16) {
    return wrong("E_INVALID_ARGS", "args.commands must be a list of 1-16 commands {id, op, args}");
  }
  cJSON *results = cJSON_CreateArray(), *result = cJSON_CreateObject();
  const cJSON *item;
  cJSON_ArrayForEach(item, commands) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(item, "id"), *op = cJSON_GetObjectItemCaseSensitive(item, "op");
    Outcome outcome = run(cJSON_IsString(op) ? op->valuestring : "", cJSON_GetObjectItemCaseSensitive(item, "args"), true);
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "command_id", cJSON_IsString(id) ? id->valuestring : "");
    cJSON_AddStringToObject(one, "status", outcome.result ? "success" : "error");
    if (outcome.result) cJSON_AddItemToObject(one, "result", outcome.result);
    else cJSON_AddItemToObject(one, "error", error_of(outcome));
    cJSON_AddItemToArray(results, one);
  }
  cJSON_AddItemToObject(result, "results", results);
  return {result, "", ""};
}

static Outcome run(const std::string &op, const cJSON *args, bool inside) {
  if (args && !cJSON_IsObject(args)) return wrong("E_INVALID_ARGS", "args must be an object");
  if (op == "device.status") return {status(), "", ""};
  if (op == "device.get_capabilities") return {capabilities(), "", ""};
  if (op == "sensor.read") return read_sensor(args);
  if (op == "batch.execute" && !inside) return batch(args);
  return wrong("E_UNKNOWN_OP", "this device has no tool " + op);
}

static std::string answer(const std::string &id, const Outcome &outcome) {
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "id", id.c_str());
  cJSON_AddStringToObject(body, "status", outcome.result ? "completed" : "failed");
  if (outcome.result) cJSON_AddItemToObject(body, "result", outcome.result);
  else cJSON_AddItemToObject(body, "error", error_of(outcome));
  return stamped(outcome.result ? "cmd.result" : "cmd.error", body);
}

// Runs in the MQTT task: acknowledges, and leaves the work to loop().
static void take(const char *data, size_t length) {
  cJSON *message = cJSON_ParseWithLength(data, length);
  const cJSON *payload = cJSON_GetObjectItemCaseSensitive(message, "payload");
  const cJSON *body = cJSON_IsObject(payload) ? payload : message;
  const cJSON *id = cJSON_GetObjectItemCaseSensitive(body, "id"), *op = cJSON_GetObjectItemCaseSensitive(body, "op");
  if (cJSON_IsString(id) && cJSON_IsString(op)) {
    last_command_ms = now_ms();
    cJSON *ack = cJSON_CreateObject();
    cJSON_AddStringToObject(ack, "id", id->valuestring);
    cJSON_AddStringToObject(ack, "status", "received");
    say("cmd/ack", stamped("cmd.ack", ack));
    std::lock_guard<std::mutex> held(lock);
    auto known = answers.find(id->valuestring);
    if (known == answers.end()) {
      answers[id->valuestring] = "";
      order.push_back(id->valuestring);
      waiting.push_back({id->valuestring, op->valuestring, cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(body, "args"), true)});
      if (order.size() > 50) {
        answers.erase(order.front());
        order.pop_front();
      }
    } else if (!known->second.empty()) {
      say("cmd/res", known->second);  // run once; a repeat gets the stored answer
    }
  }
  cJSON_Delete(message);
}

static void on_mqtt(void *, esp_event_base_t, int32_t id, void *data) {
  esp_mqtt_event_handle_t happened = (esp_mqtt_event_handle_t)data;
  if (id == MQTT_EVENT_CONNECTED) {
    wait_ms = 1000;
    lost = false;
    online = true;
    esp_mqtt_client_subscribe_single(client, (base + "cmd/req").c_str(), 1);
    greet();
    Serial.println("connected");
  } else if (id == MQTT_EVENT_DISCONNECTED) {
    // 1 s, 2 s, 4 s … up to 120 s, with jitter.
    reconnect_at = millis() + wait_ms / 2 + esp_random() % (wait_ms / 2);
    wait_ms = wait_ms < 60000 ? wait_ms * 2 : 120000;
    online = false;
    lost = true;
  } else if (id == MQTT_EVENT_DATA && happened->data_len == happened->total_data_len) {
    take(happened->data, happened->data_len);
  }
}

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(200);
  configTime(0, 0, "pool.ntp.org");
  base = std::string("rtk/v1/") + PLACE + "/" + DEVICE_ID + "/";

  static std::string uri = BROKER_URI, name = std::string("sensor-") + DEVICE_ID, will_topic = base + "lwt";
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "status", "offline");
  cJSON_AddStringToObject(body, "reason", "unexpected_disconnect");
  static std::string will = stamped("lwt", body);
  esp_mqtt_client_config_t config = {};
  config.broker.address.uri = uri.c_str();
  config.credentials.client_id = name.c_str();
  if (*BROKER_NAME) {
    config.credentials.username = BROKER_NAME;
    config.credentials.authentication.password = BROKER_PASSWORD;
  }
  config.session.keepalive = 60;
  config.session.disable_clean_session = true;  // what is sent meanwhile waits at the broker
  config.session.last_will.topic = will_topic.c_str();
  config.session.last_will.msg = will.c_str();
  config.session.last_will.qos = 1;
  config.session.last_will.retain = true;
  config.network.disable_auto_reconnect = true;  // loop() does it, with a growing distance
  config.buffer.size = 4096;
  client = esp_mqtt_client_init(&config);
  esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_mqtt, nullptr);
  esp_mqtt_client_start(client);
  cJSON *data = cJSON_CreateObject();
  cJSON_AddStringToObject(data, "reason", "power_on");
  event("system.start", data);
}

void loop() {
  static uint32_t next_sample = 2000, next_state = STATE_EVERY_MS;
  uint64_t began = micros();
  if (lost && (int32_t)(millis() - reconnect_at) >= 0) {
    lost = false;
    esp_mqtt_client_reconnect(client);
  }
  Command command;
  {
    std::lock_guard<std::mutex> held(lock);
    if (!waiting.empty()) {
      command = waiting.front();
      waiting.pop_front();
    }
  }
  if (!command.id.empty()) {
    std::string text = answer(command.id, run(command.op, command.args));
    cJSON_Delete(command.args);
    {
      std::lock_guard<std::mutex> held(lock);
      if (answers.count(command.id)) answers[command.id] = text;
    }
    say("cmd/res", text);
  }
  if ((int32_t)(millis() - next_sample) >= 0) {
    next_sample += 5000;
    telemetry("temperature", temperature(), "celsius");
  }
  if ((int32_t)(millis() - next_state) >= 0) {
    next_state += STATE_EVERY_MS;
    tell_state();
  }
  busy_us += micros() - began;
  delay(5);
}
