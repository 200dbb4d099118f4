// A chat client for the ESP32: what comes over the serial line is said in the room, what others and the assistant say is
// printed there. Arduino core 3 (ESP-IDF 5): esp-mqtt and cJSON are part of it.

#include <Arduino.h>
#include <WiFi.h>
#include <cJSON.h>
#include <mqtt_client.h>

#include <string>

#ifndef WIFI_NAME
#define WIFI_NAME "your-wifi"
#define WIFI_PASSWORD "your-password"
#define BROKER_URI "mqtt://192.168.1.10:1883"
#define USER_NAME "ESP32"
#endif

static esp_mqtt_client_handle_t client;
static const char *ID = "esp32-chat";

static void send(const char *topic, const char *message) {
  cJSON *body = cJSON_CreateObject();
  cJSON_AddStringToObject(body, "client_id", ID);
  cJSON_AddStringToObject(body, "username", USER_NAME);
  if (message) cJSON_AddStringToObject(body, "message", message);
  char *text = cJSON_PrintUnformatted(body);
  esp_mqtt_client_enqueue(client, topic, text, 0, 1, false, true);
  cJSON_free(text);
  cJSON_Delete(body);
}

static void print(const char *data, size_t length) {
  cJSON *said = cJSON_ParseWithLength(data, length);
  const cJSON *who = cJSON_GetObjectItemCaseSensitive(said, "username"), *what = cJSON_GetObjectItemCaseSensitive(said, "content");
  const cJSON *notice = cJSON_GetObjectItemCaseSensitive(said, "message");
  if (cJSON_IsString(who) && cJSON_IsString(what)) Serial.printf("%s: %s\n", who->valuestring, what->valuestring);
  else if (cJSON_IsString(notice)) Serial.printf("* %s\n", notice->valuestring);
  cJSON_Delete(said);
}

static void on_mqtt(void *, esp_event_base_t, int32_t id, void *data) {
  esp_mqtt_event_handle_t event = (esp_mqtt_event_handle_t)data;
  if (id == MQTT_EVENT_CONNECTED) {
    esp_mqtt_client_subscribe_single(client, "chatroom/system", 1);
    esp_mqtt_client_subscribe_single(client, "chatroom/messages/out", 1);
  } else if (id == MQTT_EVENT_SUBSCRIBED) {
    // Joined once the room is heard: esp-mqtt tells of each subscription.
    static int granted = 0;
    if (++granted % 2 == 0) {
      send("chatroom/users/join", nullptr);
      Serial.println("in the room; type and press Enter, @AI asks the assistant");
    }
  } else if (id == MQTT_EVENT_DATA && event->data_len == event->total_data_len) {
    print(event->data, event->data_len);
  }
}

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(200);
  static std::string uri = BROKER_URI;
  esp_mqtt_client_config_t config = {};
  config.broker.address.uri = uri.c_str();
  config.credentials.client_id = ID;
  config.session.keepalive = 60;
  config.network.reconnect_timeout_ms = 5000;
  client = esp_mqtt_client_init(&config);
  esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_mqtt, nullptr);
  esp_mqtt_client_start(client);
}

void loop() {
  static std::string line;
  while (Serial.available()) {
    char c = Serial.read();
    if (c != '\n') line += c;
    else if (!line.empty()) {
      send("chatroom/messages/in", line.c_str());
      line.clear();
    }
  }
  delay(20);
}
