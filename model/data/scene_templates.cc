#include "model/data/scene_templates.h"

namespace semsam {
namespace {

constexpr ShapeKind kBox = ShapeKind::kBox, kEllipse = ShapeKind::kEllipse,
                    kTriangle = ShapeKind::kTriangle;

constexpr ShapeSpec kHouse[] = {
    {"chimney", -1, kBox, 0.70f, 0.02f, 0.82f, 0.35f},
    {"wall", -1, kBox, 0.10f, 0.40f, 0.90f, 1.00f},
    {"roof", -1, kTriangle, 0.00f, 0.05f, 1.00f, 0.42f},
    {"door", 1, kBox, 0.42f, 0.66f, 0.58f, 1.00f},
    {"handle", 3, kEllipse, 0.53f, 0.80f, 0.57f, 0.85f},
    {"window", 1, kBox, 0.17f, 0.52f, 0.35f, 0.74f},
    {"pane", 5, kBox, 0.19f, 0.54f, 0.255f, 0.72f},
    {"pane", 5, kBox, 0.27f, 0.54f, 0.33f, 0.72f},
    {"window", 1, kBox, 0.65f, 0.52f, 0.83f, 0.74f},
    {"pane", 8, kBox, 0.67f, 0.54f, 0.735f, 0.72f},
    {"pane", 8, kBox, 0.75f, 0.54f, 0.81f, 0.72f},
};

constexpr ShapeSpec kCar[] = {
    {"roof", -1, kBox, 0.25f, 0.10f, 0.72f, 0.50f},
    {"body", -1, kBox, 0.02f, 0.40f, 0.98f, 0.80f},
    {"window", 0, kBox, 0.29f, 0.16f, 0.47f, 0.42f},
    {"window", 0, kBox, 0.51f, 0.16f, 0.68f, 0.42f},
    {"door", 1, kBox, 0.30f, 0.44f, 0.50f, 0.74f},
    {"handle", 4, kBox, 0.44f, 0.50f, 0.49f, 0.54f},
    {"light", 1, kEllipse, 0.91f, 0.46f, 0.99f, 0.60f},
    {"wheel", -1, kEllipse, 0.12f, 0.58f, 0.32f, 1.00f},
    {"hub", 7, kEllipse, 0.175f, 0.695f, 0.265f, 0.885f},
    {"wheel", -1, kEllipse, 0.68f, 0.58f, 0.88f, 1.00f},
    {"hub", 9, kEllipse, 0.735f, 0.695f, 0.825f, 0.885f},
};

constexpr ShapeSpec kTree[] = {
    {"trunk", -1, kBox, 0.42f, 0.50f, 0.58f, 1.00f},
    {"crown", -1, kEllipse, 0.05f, 0.00f, 0.95f, 0.68f},
    {"fruit", 1, kEllipse, 0.25f, 0.20f, 0.36f, 0.29f},
    {"fruit", 1, kEllipse, 0.60f, 0.32f, 0.71f, 0.41f},
    {"fruit", 1, kEllipse, 0.42f, 0.48f, 0.53f, 0.57f},
};

constexpr ShapeSpec kPerson[] = {
    {"leg", -1, kBox, 0.32f, 0.60f, 0.47f, 0.96f},
    {"shoe", 0, kBox, 0.24f, 0.92f, 0.47f, 1.00f},
    {"leg", -1, kBox, 0.53f, 0.60f, 0.68f, 0.96f},
    {"shoe", 2, kBox, 0.53f, 0.92f, 0.76f, 1.00f},
    {"arm", -1, kBox, 0.08f, 0.30f, 0.25f, 0.62f},
    {"hand", 4, kEllipse, 0.06f, 0.57f, 0.26f, 0.67f},
    {"arm", -1, kBox, 0.75f, 0.30f, 0.92f, 0.62f},
    {"hand", 6, kEllipse, 0.74f, 0.57f, 0.94f, 0.67f},
    {"torso", -1, kBox, 0.22f, 0.28f, 0.78f, 0.64f},
    {"head", -1, kEllipse, 0.25f, 0.00f, 0.75f, 0.28f},
    {"hair", 9, kEllipse, 0.25f, 0.00f, 0.75f, 0.10f},
    {"eye", 9, kEllipse, 0.36f, 0.11f, 0.45f, 0.15f},
    {"eye", 9, kEllipse, 0.55f, 0.11f, 0.64f, 0.15f},
    {"mouth", 9, kBox, 0.41f, 0.20f, 0.59f, 0.225f},
};

constexpr ShapeSpec kBoat[] = {
    {"mast", -1, kBox, 0.47f, 0.02f, 0.52f, 0.75f},
    {"sail", -1, kTriangle, 0.05f, 0.08f, 0.95f, 0.68f},
    {"stripe", 1, kBox, 0.36f, 0.44f, 0.64f, 0.50f},
    {"hull", -1, kBox, 0.08f, 0.72f, 0.92f, 1.00f},
    {"porthole", 3, kEllipse, 0.22f, 0.79f, 0.32f, 0.90f},
    {"porthole", 3, kEllipse, 0.45f, 0.79f, 0.55f, 0.90f},
    {"porthole", 3, kEllipse, 0.68f, 0.79f, 0.78f, 0.90f},
};

constexpr ShapeSpec kFlower[] = {
    {"stem", -1, kBox, 0.46f, 0.45f, 0.54f, 1.00f},
    {"leaf", -1, kEllipse, 0.52f, 0.66f, 0.88f, 0.80f},
    {"leaf", -1, kEllipse, 0.12f, 0.74f, 0.48f, 0.88f},
    {"petal", -1, kEllipse, 0.32f, 0.00f, 0.68f, 0.26f},
    {"petal", -1, kEllipse, 0.32f, 0.32f, 0.68f, 0.58f},
    {"petal", -1, kEllipse, 0.02f, 0.17f, 0.44f, 0.41f},
    {"petal", -1, kEllipse, 0.56f, 0.17f, 0.98f, 0.41f},
    {"center", -1, kEllipse, 0.35f, 0.19f, 0.65f, 0.39f},
};

constexpr ShapeSpec kCat[] = {
    {"tail", -1, kEllipse, 0.80f, 0.20f, 0.98f, 0.75f},
    {"leg", -1, kBox, 0.38f, 0.65f, 0.49f, 1.00f},
    {"paw", 1, kEllipse, 0.34f, 0.92f, 0.50f, 1.00f},
    {"leg", -1, kBox, 0.74f, 0.65f, 0.85f, 1.00f},
    {"paw", 3, kEllipse, 0.70f, 0.92f, 0.86f, 1.00f},
    {"body", -1, kEllipse, 0.28f, 0.38f, 0.94f, 0.84f},
    {"ear", -1, kTriangle, 0.04f, 0.00f, 0.20f, 0.26f},
    {"ear", -1, kTriangle, 0.28f, 0.00f, 0.44f, 0.26f},
    {"head", -1, kEllipse, 0.00f, 0.12f, 0.48f, 0.62f},
    {"eye", 8, kEllipse, 0.10f, 0.28f, 0.19f, 0.38f},
    {"eye", 8, kEllipse, 0.29f, 0.28f, 0.38f, 0.38f},
    {"nose", 8, kTriangle, 0.20f, 0.44f, 0.28f, 0.50f},
};

constexpr ShapeSpec kLamp[] = {
    {"base", -1, kEllipse, 0.20f, 0.88f, 0.80f, 1.00f},
    {"pole", -1, kBox, 0.45f, 0.35f, 0.55f, 0.94f},
    {"bulb", -1, kEllipse, 0.40f, 0.32f, 0.60f, 0.48f},
    {"shade", -1, kTriangle, 0.02f, 0.00f, 0.98f, 0.40f},
    {"rim", 3, kBox, 0.10f, 0.355f, 0.90f, 0.40f},
};

constexpr ObjectTemplate kTemplates[] = {
    {"house", "row of houses", 1.2f, kHouse}, {"car", "line of cars", 2.1f, kCar},
    {"tree", "row of trees", 0.8f, kTree},    {"person", "group of people", 0.45f, kPerson},
    {"boat", "fleet of boats", 0.9f, kBoat},  {"flower", "bunch of flowers", 0.6f, kFlower},
    {"cat", "group of cats", 1.3f, kCat},     {"lamp", "row of lamps", 0.5f, kLamp},
};

}  // namespace

std::span<const ObjectTemplate> ObjectTemplates() { return kTemplates; }

}  // namespace semsam
