"""Words that readers search by and that a landmark's own title, ideas and papers may not have, English and Korean."""

from collections.abc import Mapping

from train.history.timeline.rooms import Room

FAMILIES: Mapping[str, str] = {
    "perceptron": "linear classifier threshold neuron supervised 선형 분류기 뉴런 퍼셉트론",
    "mlp": "backpropagation back-propagation multilayer perceptron hidden layer dense feedforward "
    "역전파 다층 퍼셉트론 은닉층",
    "lecun1989": "convolution convolutional cnn zip code digits vision 합성곱 숫자 시각",
    "lenet": "convolution convolutional cnn subsampling pooling digits mnist vision 합성곱 풀링 숫자 시각",
    "alexnet": "convolution convolutional cnn imagenet relu dropout gpu vision 합성곱 드롭아웃 시각",
    "resnet": "convolution convolutional cnn residual shortcut skip connection depth imagenet vision "
    "합성곱 잔차 지름길 깊이 시각",
    "lstm": "recurrent rnn gates memory language model text sequence 순환 게이트 기억 언어 모델",
    "dqn": "reinforcement learning agent q-learning replay atari game convolution 강화 학습 에이전트 게임",
    "seq2seq": "machine translation encoder decoder recurrent lstm bottleneck 번역 부호기 복호기 순환",
    "seq2seq_attention": "machine translation attention alignment encoder decoder gru recurrent 번역 주의 정렬 어텐션",
    "gan": "generative adversarial generator discriminator images 생성 적대 생성자 판별자",
    "dcgan": "generative adversarial generator discriminator convolution convolutional images 생성 적대 합성곱",
    "transformer": "machine translation self-attention multi-head encoder decoder positions 번역 자기 주의 어텐션",
    "bert": "transformer pre-training fine-tuning masked language model text encoder 사전 학습 미세 조정 언어 모델",
    "gpt": "transformer pre-training generative language model text decoder 사전 학습 생성 언어 모델",
    "vgg": "convolution convolutional cnn depth small filters imagenet vision 합성곱 깊이 작은 필터 시각",
    "fcn": "convolution convolutional segmentation pixels upsampling vgg 합성곱 분할 화소 확대",
    "unet": "convolution convolutional segmentation pixels encoder decoder skip connection 합성곱 분할 화소",
    "vit": "transformer self-attention patches vision images 패치 어텐션 시각",
    "simclr": "contrastive self-supervised augmentation without labels representation vision 대조 자기 지도 증강 시각",
}
"""Family of a card -> words."""
KINDS: Mapping[str, str] = {
    "optimizer": "optimizer optimiser update rule learning rate gradient descent 최적화 경사 하강 학습률",
    "loss": "loss objective cost 손실 목적 함수",
    "activation": "activation nonlinearity 활성화 비선형",
    "claim": "claim experiment replication 주장 실험 재현",
}
"""Kind of a room -> words."""


def keywords(room: Room) -> str:
    """Return the words of a room's family or kind; "" for a family of the user's own."""
    return FAMILIES.get(room.cards[0].family, "") if room.cards else KINDS.get(room.kind, "")
