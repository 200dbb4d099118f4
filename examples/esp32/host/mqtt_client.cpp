// MQTT 3.1.1 for the sketches on a computer: one thread that connects, reads, and sends what waits.
#include "mqtt_client.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

using Clock = std::chrono::steady_clock;

struct Waiting {
  uint16_t id;  // 0: sent and forgotten
  std::string topic, data;
  bool retain, sent;
};

struct HostMqtt {
  esp_mqtt_client_config_t config;
  std::string host, port;
  esp_event_handler_t handler = nullptr;
  void *argument = nullptr;
  int socket = -1;
  bool online = false, again = false;
  uint16_t next_id = 1;
  std::recursive_mutex lock;
  std::condition_variable_any wake;
  std::deque<Waiting> outbox;

  void tell(esp_mqtt_event_id_t id, char *topic = nullptr, int topic_len = 0, char *data = nullptr, int length = 0) {
    esp_mqtt_event_t event = {id, data, length, length, topic, topic_len};
    if (handler) handler(argument, "MQTT_EVENTS", id, &event);
  }

  uint16_t fresh_id() {
    uint16_t id = next_id++;
    if (next_id == 0) next_id = 1;
    return id;
  }

  static std::string text(const std::string &value) { return std::string{(char)(value.size() >> 8), (char)value.size()} + value; }

  bool write_packet(uint8_t kind, const std::string &body) {
    std::string packet(1, (char)kind);
    size_t left = body.size();
    do {
      packet += (char)((left & 127) | (left > 127 ? 128 : 0));
      left >>= 7;
    } while (left);
    packet += body;
    std::lock_guard<std::recursive_mutex> held(lock);
    for (size_t done = 0; done < packet.size();) {
      ssize_t count = socket < 0 ? -1 : send(socket, packet.data() + done, packet.size() - done, MSG_NOSIGNAL);
      if (count <= 0) return false;
      done += count;
    }
    return true;
  }

  bool publish(Waiting &message, bool repeated) {
    std::string body = text(message.topic);
    if (message.id) body += std::string{(char)(message.id >> 8), (char)message.id};
    message.sent = true;
    return write_packet(0x30 | (message.id ? 2 : 0) | (repeated ? 8 : 0) | (message.retain ? 1 : 0), body + message.data);
  }

  bool read_all(char *into, size_t length) {
    while (length) {
      ssize_t count = recv(socket, into, length, 0);
      if (count <= 0) return false;
      into += count;
      length -= count;
    }
    return true;
  }

  bool read_packet(uint8_t &kind, std::string &body) {
    char byte;
    size_t length = 0;
    if (!read_all(&byte, 1)) return false;
    kind = (uint8_t)byte;
    for (int shift = 0; shift < 28; shift += 7) {
      if (!read_all(&byte, 1)) return false;
      length |= (size_t)(byte & 127) << shift;
      if (!(byte & 128)) break;
    }
    body.resize(length);
    return read_all(&body[0], length);
  }

  bool dial() {
    addrinfo wanted = {}, *found = nullptr;
    wanted.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0) return false;
    int made = ::socket(found->ai_family, found->ai_socktype, 0), one = 1;
    bool there = made >= 0 && connect(made, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    if (!there) {
      if (made >= 0) close(made);
      return false;
    }
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    std::lock_guard<std::recursive_mutex> held(lock);
    socket = made;
    return true;
  }

  bool greet() {
    const auto &session = config.session;
    uint8_t flags = session.disable_clean_session ? 0 : 2;
    std::string tail = text(config.credentials.client_id ? config.credentials.client_id : "");
    if (session.last_will.topic) {
      flags |= 4 | (session.last_will.qos << 3) | (session.last_will.retain ? 32 : 0);
      tail += text(session.last_will.topic) + text(session.last_will.msg);
    }
    if (config.credentials.username) {
      flags |= 128;
      tail += text(config.credentials.username);
      if (config.credentials.authentication.password) {
        flags |= 64;
        tail += text(config.credentials.authentication.password);
      }
    }
    uint8_t kind;
    std::string body = text("MQTT") + std::string{4, (char)flags, (char)(session.keepalive >> 8), (char)session.keepalive} + tail;
    return write_packet(0x10, body) && read_packet(kind, body) && kind == 0x20 && body.size() == 2 && body[1] == 0;
  }

  void take(uint8_t kind, std::string &body) {
    if ((kind & 0xF0) == 0x30 && body.size() >= 2) {
      size_t length = (uint8_t)body[0] << 8 | (uint8_t)body[1], from = 2 + length + ((kind & 6) ? 2 : 0);
      if (from > body.size()) return;
      if (kind & 6) write_packet(0x40, body.substr(2 + length, 2));
      tell(MQTT_EVENT_DATA, &body[2], (int)length, &body[from], (int)(body.size() - from));
    } else if (kind == 0x40 && body.size() >= 2) {
      uint16_t id = (uint8_t)body[0] << 8 | (uint8_t)body[1];
      std::lock_guard<std::recursive_mutex> held(lock);
      for (auto message = outbox.begin(); message != outbox.end(); ++message) {
        if (message->id == id) {
          outbox.erase(message);
          break;
        }
      }
    } else if (kind == 0x90) {
      tell(MQTT_EVENT_SUBSCRIBED);
    }
  }

  // One connection, from its beginning to its end.
  void live() {
    if (dial() && greet()) {
      {
        std::lock_guard<std::recursive_mutex> held(lock);
        for (auto &message : outbox) publish(message, message.sent);
        online = true;
      }
      tell(MQTT_EVENT_CONNECTED);
      auto ping = Clock::now();
      while (true) {
        pollfd ready = {socket, POLLIN, 0};
        if (poll(&ready, 1, 200) > 0) {
          uint8_t kind = 0;
          std::string body;
          if (!read_packet(kind, body)) break;
          take(kind, body);
        }
        if (config.session.keepalive && Clock::now() - ping > std::chrono::seconds(config.session.keepalive / 2)) {
          ping = Clock::now();
          if (!write_packet(0xC0, "")) break;
        }
      }
    }
    {
      std::lock_guard<std::recursive_mutex> held(lock);
      if (socket >= 0) close(socket);
      socket = -1;
      online = false;
    }
    tell(MQTT_EVENT_DISCONNECTED);
  }

  void run() {
    while (true) {
      live();
      std::unique_lock<std::recursive_mutex> held(lock);
      if (config.network.disable_auto_reconnect) wake.wait(held, [this] { return again; });
      else wake.wait_for(held, std::chrono::milliseconds(config.network.reconnect_timeout_ms ? config.network.reconnect_timeout_ms : 10000), [this] { return again; });
      again = false;
    }
  }
};

esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config) {
  HostMqtt *client = new HostMqtt;
  client->config = *config;
  std::string uri = config->broker.address.uri;
  std::string address = uri.substr(uri.find("://") == std::string::npos ? 0 : uri.find("://") + 3);
  size_t colon = address.rfind(':');
  client->host = address.substr(0, colon);
  client->port = colon == std::string::npos ? "1883" : address.substr(colon + 1);
  return client;
}

int esp_mqtt_client_register_event(esp_mqtt_client_handle_t client, esp_mqtt_event_id_t, esp_event_handler_t handler, void *argument) {
  client->handler = handler;
  client->argument = argument;
  return 0;
}

int esp_mqtt_client_start(esp_mqtt_client_handle_t client) {
  std::thread([client] { client->run(); }).detach();
  return 0;
}

int esp_mqtt_client_reconnect(esp_mqtt_client_handle_t client) {
  std::lock_guard<std::recursive_mutex> held(client->lock);
  client->again = true;
  client->wake.notify_all();
  return 0;
}

int esp_mqtt_client_subscribe_single(esp_mqtt_client_handle_t client, const char *topic, int qos) {
  std::lock_guard<std::recursive_mutex> held(client->lock);
  uint16_t id = client->fresh_id();
  return client->write_packet(0x82, std::string{(char)(id >> 8), (char)id} + HostMqtt::text(topic) + (char)qos) ? id : -1;
}

int esp_mqtt_client_enqueue(esp_mqtt_client_handle_t client, const char *topic, const char *data, int length, int qos, int retain, bool) {
  std::lock_guard<std::recursive_mutex> held(client->lock);
  Waiting message = {qos ? client->fresh_id() : (uint16_t)0, topic, length ? std::string(data, length) : std::string(data), retain != 0, false};
  if (client->online) client->publish(message, false);
  if (message.id) client->outbox.push_back(message);
  if (client->outbox.size() > 1000) client->outbox.pop_front();
  return message.id;
}
