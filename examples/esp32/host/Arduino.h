// The part of the Arduino core that the sketches use, for a computer: so that they are compiled and run without an ESP32.
#pragma once
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// The sketches' names come from the environment here.
const char *host_setting(const char *name, const char *otherwise);
#define WIFI_NAME "none"
#define WIFI_PASSWORD "none"
#define BROKER_URI host_setting("BROKER_URI", "mqtt://127.0.0.1:1883")
#define BROKER_NAME host_setting("BROKER_NAME", "")
#define BROKER_PASSWORD host_setting("BROKER_PASSWORD", "")
#define PLACE host_setting("PLACE", "home/living")
#define DEVICE_ID host_setting("DEVICE_ID", "0200000000ac")
#define USER_NAME host_setting("USER_NAME", "ESP32")
#define STATE_EVERY_MS (uint32_t)atoi(host_setting("STATE_EVERY_MS", "300000"))

uint32_t millis();
uint64_t micros();
void delay(uint32_t ms);
void configTime(long, int, const char *);

struct HostSerial {
  void begin(int) {}
  void println(const char *text);
  void printf(const char *format, ...);
  int available();
  int read();
};
extern HostSerial Serial;

// Memory of this process against that of the machine, in KiB.
struct HostEsp {
  uint32_t getHeapSize();
  uint32_t getFreeHeap();
};
extern HostEsp ESP;
