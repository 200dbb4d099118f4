// The part of cJSON that the sketches use, written anew for the computer.
#pragma once
#include <cstddef>

struct cJSON {
  cJSON *next, *child;
  int type;
  char *valuestring;
  int valueint;
  double valuedouble;
  char *string;
};

cJSON *cJSON_ParseWithLength(const char *text, size_t length);
char *cJSON_PrintUnformatted(const cJSON *item);
void cJSON_free(void *text);
void cJSON_Delete(cJSON *item);
cJSON *cJSON_Duplicate(const cJSON *item, bool deep);
cJSON *cJSON_CreateObject();
cJSON *cJSON_CreateArray();
cJSON *cJSON_CreateNumber(double value);
cJSON *cJSON_AddStringToObject(cJSON *object, const char *name, const char *text);
cJSON *cJSON_AddNumberToObject(cJSON *object, const char *name, double value);
cJSON *cJSON_AddBoolToObject(cJSON *object, const char *name, bool value);
bool cJSON_AddItemToObject(cJSON *object, const char *name, cJSON *item);
bool cJSON_AddItemToArray(cJSON *array, cJSON *item);
cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name);
int cJSON_GetArraySize(const cJSON *array);
bool cJSON_IsString(const cJSON *item);
bool cJSON_IsNumber(const cJSON *item);
bool cJSON_IsObject(const cJSON *item);
bool cJSON_IsArray(const cJSON *item);

#define cJSON_ArrayForEach(element, array) for (element = (array) ? (array)->child : nullptr; element; element = element->next)
