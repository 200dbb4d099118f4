// The part of esp-mqtt that the sketches use, written anew for a computer: MQTT 3.1.1 over TCP, with an outbox in memory.
#pragma once
#include <cstdint>

typedef struct HostMqtt *esp_mqtt_client_handle_t;
typedef const char *esp_event_base_t;

enum esp_mqtt_event_id_t { MQTT_EVENT_ANY = -1, MQTT_EVENT_ERROR, MQTT_EVENT_CONNECTED, MQTT_EVENT_DISCONNECTED, MQTT_EVENT_SUBSCRIBED, MQTT_EVENT_UNSUBSCRIBED, MQTT_EVENT_PUBLISHED, MQTT_EVENT_DATA };

struct esp_mqtt_event_t {
  esp_mqtt_event_id_t event_id;
  char *data;
  int data_len, total_data_len;
  char *topic;
  int topic_len;
};
typedef esp_mqtt_event_t *esp_mqtt_event_handle_t;
typedef void (*esp_event_handler_t)(void *, esp_event_base_t, int32_t, void *);

struct esp_mqtt_client_config_t {
  struct {
    struct {
      const char *uri;
    } address;
  } broker;
  struct {
    const char *username, *client_id;
    struct {
      const char *password;
    } authentication;
  } credentials;
  struct {
    struct {
      const char *topic, *msg;
      int msg_len, qos, retain;
    } last_will;
    bool disable_clean_session;
    int keepalive;
  } session;
  struct {
    int reconnect_timeout_ms;
    bool disable_auto_reconnect;
  } network;
  struct {
    int size;
  } buffer;
};

esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config);
int esp_mqtt_client_register_event(esp_mqtt_client_handle_t client, esp_mqtt_event_id_t event, esp_event_handler_t handler, void *argument);
int esp_mqtt_client_start(esp_mqtt_client_handle_t client);
int esp_mqtt_client_reconnect(esp_mqtt_client_handle_t client);
int esp_mqtt_client_subscribe_single(esp_mqtt_client_handle_t client, const char *topic, int qos);
int esp_mqtt_client_enqueue(esp_mqtt_client_handle_t client, const char *topic, const char *data, int length, int qos, int retain, bool store);
